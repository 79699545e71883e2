"""A running MLflow in; its registry's events on their way to serving out.

https://mlflow.org/docs/latest/ml/webhooks/. Serving polls besides: what a lost event told, it sees
a little later.
"""

from pathlib import Path
from typing import Any

import httpx

from services.embedded.settings import Embedded

NAME = "relay-serving"
EVENTS = {"MODEL_VERSION_ALIAS": ("CREATED", "DELETED"), "MODEL_VERSION_TAG": ("SET", "DELETED")}


def hang(settings: Embedded, secret: Path) -> None:
    """Register the webhook, in the place of one that an earlier start left, whose port may differ.

    Raises httpx.HTTPError where MLflow refuses.
    """
    with httpx.Client(base_url=settings.url("mlflow") + "/api/2.0/mlflow", timeout=30) as mlflow:
        for old in _asked(mlflow.get("/webhooks")).get("webhooks", []):
            if old["name"] == NAME:
                _asked(mlflow.delete(f"/webhooks/{old['webhook_id']}"))
        hook = {
            "name": NAME,
            "url": settings.url("serving") + "/v1/registry-events",
            "events": [
                {"entity": entity, "action": action}
                for entity, actions in EVENTS.items()
                for action in actions
            ],
            "secret": secret.read_text(encoding="utf-8"),
        }
        _asked(mlflow.post("/webhooks", json=hook))


def _asked(response: httpx.Response) -> dict[str, Any]:
    response.raise_for_status()
    answer: dict[str, Any] = response.json()
    return answer
