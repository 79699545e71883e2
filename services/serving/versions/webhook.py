"""MLflow's registry webhook in, a watcher that looks at once out; a stranger is refused.

The signature is over `<delivery id>.<timestamp>.<body>`: https://mlflow.org/docs/latest/ml/webhooks/.
What the event says is not used: it only hurries the look at the registry, so a lost, repeated or
reordered one does no harm.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from services.serving.errors import RequestError

_FRESH = 300  # seconds


class Webhook:
    """Takes the registry's events from whoever knows the secret."""

    def __init__(self, secret: bytes, wake: Callable[[], None]) -> None:
        self._secret = secret
        self._wake = wake

    def receive(self, headers: Mapping[str, str], body: bytes) -> None:
        """Check who speaks, and wake the watcher. Raises RequestError (401)."""
        given = headers.get("x-mlflow-signature")
        delivery = headers.get("x-mlflow-delivery-id")
        sent = headers.get("x-mlflow-timestamp")
        if given is None or delivery is None or sent is None:
            raise RequestError(401, "the event is not signed: give MLflow's webhook our secret")
        wanted = sign(self._secret, delivery, sent, body)
        if not hmac.compare_digest(given.encode(), wanted.encode()):
            raise RequestError(401, "the event's signature is wrong: MLflow has another secret")
        if not sent.isdecimal() or abs(time.time() - int(sent)) > _FRESH:
            message = f"the event is of another time than now, want it within {_FRESH} s: "
            raise RequestError(401, message + "do the clocks agree?")
        self._wake()


def sign(secret: bytes, delivery: str, sent: str, body: bytes) -> str:
    """Sign an event as MLflow does."""
    content = f"{delivery}.{sent}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, content, hashlib.sha256)).decode()


def read_secret(file: Path) -> bytes:
    """Read the secret that MLflow signs with. Raises OSError, ValueError."""
    secret = file.read_bytes().strip()
    if not secret:
        raise ValueError(f"the webhook's secret file {file} is empty")
    return secret
