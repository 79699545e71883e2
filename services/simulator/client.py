"""Rows and labels in, requests to serving out; rides out whatever time serving is away.

Speaks the Open Inference Protocol V2. A request is sent again under its own id until it is
answered, so that none is lost and none counts twice.
"""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import httpx

from services.simulator.progress import tell

_LONGEST_WAIT = 5.0
_LABELS_AT_ONCE = 1000


class Client:
    """A client of one model; counts what it did."""

    def __init__(self, url: str, model: str, connections: int, label_token: str = "") -> None:
        limits = httpx.Limits(max_connections=connections)
        self._http = httpx.AsyncClient(base_url=url, timeout=30, limits=limits)
        self._model = model
        self._bearer = {"Authorization": f"Bearer {label_token}"} if label_token else {}
        self._inputs: list[dict[str, Any]] = []
        self._away = False
        self.answered = self.labelled = self.refused = 0

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ask(self, id: str, event_time: datetime, row: dict[str, Any]) -> None:  # noqa: A002
        """Ask about one row. A refusal is told and counted: the row gets no prediction."""
        if not self._inputs:
            await self.learn_inputs()
        body = self._body(id, event_time, row)
        response = await self._send("POST", f"/v2/models/{self._model}/infer", body)
        if response.status_code == 400:  # the model may ask for something else by now
            await self.learn_inputs()
            body = self._body(id, event_time, row)
            response = await self._send("POST", f"/v2/models/{self._model}/infer", body)
        if response.status_code == 200:
            self.answered += 1
        else:
            self.refused += 1
            tell("refused", id=id, status=response.status_code, answer=response.text[:500])

    async def label(self, labels: Iterable[dict[str, Any]]) -> None:
        """Deliver labels. Raises httpx.HTTPStatusError where they are refused."""
        waiting = list(labels)
        for start in range(0, len(waiting), _LABELS_AT_ONCE):
            some = waiting[start : start + _LABELS_AT_ONCE]
            path = f"/v1/models/{self._model}/labels"
            response = await self._send("POST", path, {"labels": some}, self._bearer)
            response.raise_for_status()
            self.labelled += len(some)

    async def learn_inputs(self) -> None:
        """Learn from the model's metadata what it is asked with."""
        response = await self._send("GET", f"/v2/models/{self._model}")
        self._inputs = response.raise_for_status().json()["inputs"]

    def _body(self, id: str, event_time: datetime, row: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        tensors = [tensor for given in self._inputs if (tensor := _tensor(given, row))]
        return {"id": id, "parameters": {"event_time": event_time.isoformat()}, "inputs": tensors}

    async def _send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Send until there is an answer that another try would not change."""
        wait = 0.1
        while True:
            try:
                response = await self._http.request(method, path, json=body, headers=headers)
                if response.status_code < 500 and response.status_code != 404:
                    self._away = False
                    return response
                why = f"{response.status_code} {response.text[:200]}"
            except httpx.TransportError as error:
                why = repr(error)
            if not self._away:
                self._away = True
                tell("waiting", for_="serving", path=path, why=why)
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)


def _tensor(given: dict[str, Any], row: dict[str, Any]) -> dict[str, Any] | None:
    """Make a tensor of one row's value; None where an optional value is missing."""
    name, datatype, shape = given["name"], given["datatype"], given["shape"]
    value: Any = row.get(name)
    if len(shape) > 1:
        flat = [float(each) for each in value]
        return {"name": name, "shape": [1, *shape[1:]], "datatype": datatype, "data": flat}
    if value is None or value != value:  # NaN
        if given.get("parameters", {}).get("optional"):
            return None
        value = None
    elif datatype == "BYTES":
        value = str(value)
    else:
        value = float(value) if datatype.startswith("FP") else int(value)
    return {"name": name, "shape": [1], "datatype": datatype, "data": [value]}
