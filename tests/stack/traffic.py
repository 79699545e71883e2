"""Steady predictions and labels in; out what was answered, what failed and why, each by its id."""

import threading
import time
import uuid
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import httpx

from tests.stack.stack import FLIGHT

PAUSE = 0.1  # seconds between two predictions: about ten a second
LONG_AGO = "2013-01-01T00:00:00+00:00"  # in event time: outside all windows of the monitor


@dataclass
class Traffic:
    """One client of a model, in a thread of its own, while the `with` block lasts.

    Each prediction is asked once, under an id of its own; what is answered gets a label. Nothing is
    tried again: a client that does would hide what a fault does to those who do not. The flights
    are of long ago, so that the monitor judges none of them.
    """

    url: str
    label_token: str
    answered: list[str] = field(default_factory=list)
    labelled: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # why, by id
    outage: float = 0.0  # seconds of the longest time between two answers

    def __enter__(self) -> "Traffic":
        """Begin."""
        self._end = threading.Event()
        self._last = time.monotonic()
        self._thread = threading.Thread(target=self._ask_on)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End, when the request under way is answered."""
        self._end.set()
        self._thread.join()

    def _ask_on(self) -> None:
        with httpx.Client(base_url=self.url, timeout=30, trust_env=False) as client:
            while not self._end.wait(PAUSE):
                self._ask(client, str(uuid.uuid4()))

    def _ask(self, client: httpx.Client, request: str) -> None:
        try:
            answer = client.post("/v2/models/flights/infer", json=body(request))
            if answer.is_success:
                self._note(request)
                self._label(client, request)
            else:
                self.failed[request] = f"{answer.status_code} {answer.text[:100]}"
        except httpx.TransportError as error:
            self.failed.setdefault(request, repr(error))

    def _note(self, request: str) -> None:
        now = time.monotonic()
        self.outage, self._last = max(self.outage, now - self._last), now
        self.answered.append(request)

    def _label(self, client: httpx.Client, request: str) -> None:
        label = {"labels": [{"id": request, "label": 1.0}]}
        bearer = {"Authorization": f"Bearer {self.label_token}"}
        try:
            answer = client.post("/v1/models/flights/labels", json=label, headers=bearer)
        except httpx.TransportError:
            return  # not acknowledged, so not promised
        if answer.is_success:
            self.labelled.append(request)


def body(request: str) -> dict[str, Any]:
    """Make a request of the Open Inference Protocol about one flight."""
    tensors = [
        {"name": name, "shape": [1], "datatype": datatype(value), "data": [value]}
        for name, value in FLIGHT.items()
    ]
    return {"id": request, "parameters": {"event_time": LONG_AGO}, "inputs": tensors}


def datatype(value: object) -> str:
    """Name a value's type as the protocol does."""
    return "BYTES" if isinstance(value, str) else "INT64"
