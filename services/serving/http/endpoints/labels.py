"""Late labels in, records of the prediction log out: `{"labels": [{"id", "label", "time"}]}`."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from monitoring.prediction_log import Label, PredictionLog
from monitoring.prediction_log.ids import is_row_number
from services.serving.errors import RequestError
from services.serving.http.exchange import Reply, Request, encode_json
from services.serving.metrics import Metrics
from services.serving.models.signature import MAX_ROWS
from services.serving.protocols.json_body import decode
from services.serving.queries import checked_id, checked_time
from services.serving.versions.catalog import Catalog


class GivenLabel(msgspec.Struct, forbid_unknown_fields=True):
    """The truth about a row: its prediction's id (`<id>/<row>` of several), a finite number."""

    id: str
    label: Any
    time: Any = None


class GivenLabels(msgspec.Struct, forbid_unknown_fields=True):
    """A request's body."""

    labels: Annotated[list[GivenLabel], msgspec.Meta(max_length=MAX_ROWS)]


class TakenLabels(msgspec.Struct):
    """All were written; `unknown` are ids of which no answer is in the log, or not yet."""

    model: str
    accepted: int
    unknown: list[str]


_DECODER = msgspec.json.Decoder(GivenLabels)


class Labels:
    """Takes labels of any model that is served."""

    def __init__(self, catalog: Catalog, log: PredictionLog, metrics: Metrics) -> None:
        self._catalog = catalog
        self._log = log
        self._metrics = metrics

    async def take(self, request: Request, model: str) -> Reply:
        """Write all labels, or none and say which is wrong. Raises RequestError.

        The same label again changes nothing; a label of a prediction that is yet to come is kept.
        """
        self._catalog.served(model)
        request.model = model
        given = decode(request.body, _DECODER).labels
        labels = [_checked(label, row) for row, label in enumerate(given)]
        try:
            unknown = await asyncio.to_thread(self._write, model, labels)
        except OSError as error:
            self._metrics.log_failures.inc()
            message = "the labels cannot be written: try again"
            raise RequestError(503, message, retry_after=1) from error
        count = self._metrics.labels.labels
        count(model, "known").inc(len(labels) - len(unknown))
        count(model, "unknown").inc(len(unknown))
        return Reply(encode_json(TakenLabels(model, len(labels), unknown)), model)

    def _write(self, model: str, labels: list[Label]) -> list[str]:
        known = self._log.known(model, [label.id for label in labels])
        self._log.append_labels(model, labels)
        return [label.id for label in labels if label.id not in known]


def _checked(given: GivenLabel, row: int) -> Label:
    if not given.id:
        raise RequestError(400, f"labels[{row}].id is empty, want a prediction's id", "id")
    label = given.label
    if type(label) not in (int, float) or not abs(label) < 1e300:  # also NaN and infinity
        message = f"labels[{row}].label: got {label!r:.80}, want a finite number"
        raise RequestError(400, message, "label")
    now = datetime.now(UTC)
    time = now if given.time is None else checked_time(given.time, f"labels[{row}].time")
    _check_row_id(given.id)
    return Label(given.id, float(label), time)


def _check_row_id(given: str) -> None:
    """Several rows of a request go by `<id>/<row>`."""
    request, _, row = given.rpartition("/")
    checked_id(request if request and is_row_number(row) else given)
