"""Late labels in, lines of the prediction log out: `{"labels": [{"id", "label", "time"}]}`."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from monitoring.prediction_log import Label, PredictionLog
from services.serving.errors import RequestError
from services.serving.json_body import decode
from services.serving.metrics import Metrics
from services.serving.queries import checked_id, checked_time


class _Label(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    label: Any
    time: Any = None


class _Labels(msgspec.Struct, forbid_unknown_fields=True):
    labels: list[_Label]


_DECODER = msgspec.json.Decoder(_Labels)


def take(body: bytes, model: str, log: PredictionLog, metrics: Metrics) -> dict[str, Any]:
    """Write all labels, or none and say which is wrong. Raises RequestError."""
    labels = [_checked(given, row) for row, given in enumerate(decode(body, _DECODER).labels)]
    try:
        log.append_labels(model, labels)
    except OSError as error:
        metrics.log_failures.inc()
        raise RequestError(503, "the labels cannot be written: try again") from error
    metrics.labels.labels(model).inc(len(labels))
    return {"model": model, "accepted": len(labels)}


def _checked(given: _Label, row: int) -> Label:
    if not given.id:
        raise RequestError(400, f"labels[{row}].id is empty, want a prediction's id", "id")
    label = given.label
    if type(label) not in (int, float) or not abs(label) < 1e300:  # also NaN and infinity
        message = f"labels[{row}].label: got {label!r:.80}, want a finite number"
        raise RequestError(400, message, "label")
    now = datetime.now(UTC)
    time = now if given.time is None else checked_time(given.time, f"labels[{row}].time")
    return Label(checked_id(given.id), float(label), time)
