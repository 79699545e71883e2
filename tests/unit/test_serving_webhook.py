"""Who may wake the watcher: MLflow's signature, held against MLflow's own."""

import time
from collections.abc import Callable

import pytest
from mlflow.webhooks.delivery import _generate_hmac_signature

from services.serving.errors import RequestError
from services.serving.versions.webhook import Webhook, sign

BODY = b'{"entity": "model_version_alias", "action": "created"}'


SECRET = "open sesame"  # noqa: S105


def headers(secret: str = SECRET, age: int = 0, body: bytes = BODY) -> dict[str, str]:
    sent = str(int(time.time()) - age)
    signature = _generate_hmac_signature(secret, "an-id", sent, body.decode())
    return {
        "x-mlflow-signature": signature,
        "x-mlflow-delivery-id": "an-id",
        "x-mlflow-timestamp": sent,
    }


def woken_by(given: dict[str, str], body: bytes = BODY) -> bool:
    woken: list[bool] = []
    Webhook(SECRET.encode(), lambda: woken.append(True)).receive(given, body)
    return bool(woken)


def test_mlflows_own_signature_wakes() -> None:
    assert woken_by(headers())
    assert woken_by(headers(age=200))
    assert woken_by(headers(age=-200))
    mine = sign(b"open sesame", "an-id", "123", BODY)
    assert mine == _generate_hmac_signature("open sesame", "an-id", "123", BODY.decode())


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (dict, "is not signed"),
        (lambda: {"x-mlflow-signature": headers()["x-mlflow-signature"]}, "is not signed"),
        (lambda: headers("another secret"), "signature is wrong"),
        (lambda: headers() | {"x-mlflow-delivery-id": "another"}, "signature is wrong"),
        (lambda: headers() | {"x-mlflow-timestamp": "1"}, "signature is wrong"),
        (lambda: headers() | {"x-mlflow-signature": "v1,é"}, "signature is wrong"),
        (lambda: headers(body=BODY + b" "), "signature is wrong"),
        (lambda: headers(age=400), "of another time"),
        (lambda: headers(age=-400), "of another time"),
    ],
)
def test_whoever_else_is_refused(given: Callable[[], dict[str, str]], why: str) -> None:
    with pytest.raises(RequestError, match=why) as refused:
        woken_by(given())
    assert refused.value.status == 401
