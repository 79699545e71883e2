"""One served version: queries in, logged outputs out, those of one loop turn computed together.

No query waits for others: what has arrived by the time the loop turns is one batch.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import NamedTuple

from monitoring.prediction_log import PredictionLog, PredictionRecord, Role
from services.serving.errors import RequestError
from services.serving.metrics import Metrics
from services.serving.onnx_model import OnnxModel
from services.serving.queries import Outputs, Query


class VersionRef(NamedTuple):
    """A registered version; `created` tells apart models that had one name after each other."""

    model: str
    version: str
    created: int


class _Ask(NamedTuple):
    query: Query
    role: Role
    answer: "asyncio.Future[Outputs]"


class Predictor:
    """A loaded version with its queue. `ask` belongs to the event loop, `answer` to any thread."""

    def __init__(
        self, ref: VersionRef, model: OnnxModel, log: PredictionLog, metrics: Metrics, max_rows: int
    ) -> None:
        self.ref = ref
        self.model = model
        self._log = log
        self._metrics = metrics
        self._max_rows = max_rows
        self._batch_rows = metrics.batch_rows.labels(ref.model)
        self._waiting: list[_Ask] = []

    def ask(self, query: Query, role: Role) -> "asyncio.Future[Outputs]":
        """Queue a query; its outputs come when they are in the prediction log.

        The future raises RequestError (503) where the log could not be written.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._compute_waiting)
        answer: asyncio.Future[Outputs] = loop.create_future()
        self._waiting.append(_Ask(query, role, answer))
        return answer

    def answer(self, queries: Sequence[Query], role: Role) -> list[Outputs]:
        """Compute queries as one batch and log them."""
        return self._answer(queries, [role] * len(queries))

    def _compute_waiting(self) -> None:
        asks, self._waiting = self._waiting, []
        for batch in _batches(asks, self._max_rows):
            self._settle(batch)

    def _settle(self, asks: list[_Ask]) -> None:
        try:
            answers = self._answer([ask.query for ask in asks], [ask.role for ask in asks])
        except Exception as error:  # noqa: BLE001  the graph's errors share no base
            if len(asks) > 1 and not isinstance(error, RequestError):
                for ask in asks:  # a query that breaks the graph is alone with it
                    self._settle([ask])
                return
            for ask in asks:
                if not ask.answer.done():
                    ask.answer.set_exception(error)
            return
        for ask, outputs in zip(asks, answers, strict=True):
            if not ask.answer.done():  # its client may have gone away
                ask.answer.set_result(outputs)

    def _answer(self, queries: Sequence[Query], roles: Sequence[Role]) -> list[Outputs]:
        names = self.model.signature.fields
        columns = {name: list(chain(*(q.columns[name] for q in queries))) for name in names}
        joined = self.model.run(columns)
        rows = sum(query.rows for query in queries)
        self._batch_rows.observe(rows)
        answers, start = [], 0
        for query in queries:
            end = start + query.rows
            answers.append({name: array[start:end] for name, array in joined.items()})
            start = end
        self._write(queries, roles, answers)
        return answers

    def _write(
        self, queries: Sequence[Query], roles: Sequence[Role], answers: list[Outputs]
    ) -> None:
        now, clock = datetime.now(UTC), time.perf_counter()
        records = [
            record
            for query, role, outputs in zip(queries, roles, answers, strict=True)
            for record in self._records(query, role, outputs, now, clock)
        ]
        try:
            self._log.append(records)
        except OSError as error:
            self._metrics.log_failures.inc()
            message = "the prediction log cannot be written, so there is no answer: try again"
            raise RequestError(503, message) from error
        for role in set(roles):
            count = sum(q.rows for q, r in zip(queries, roles, strict=True) if r == role)
            self._metrics.predictions.labels(self.ref.model, self.ref.version, role).inc(count)

    def _records(
        self, query: Query, role: Role, outputs: Outputs, now: datetime, clock: float
    ) -> Iterator[PredictionRecord]:
        names = self.model.signature.fields
        features = zip(*(query.columns[name] for name in names), strict=True)
        values = zip(*(array.tolist() for array in outputs.values()), strict=True)
        latency = round(clock - query.received, 6)
        for row, (asked, answered) in enumerate(zip(features, values, strict=True)):
            yield PredictionRecord(
                id=query.row_id(row),
                time=now,
                event_time=query.event_time or now,
                model=self.ref.model,
                version=self.ref.version,
                role=role,
                features=dict(zip(names, asked, strict=True)),
                output=dict(zip(outputs, answered, strict=True)),
                latency_seconds=latency,
            )


def _batches(asks: list[_Ask], max_rows: int) -> Iterator[list[_Ask]]:
    """Cut into batches of at most max_rows; a query that is larger goes alone."""
    batch: list[_Ask] = []
    rows = 0
    for ask in asks:
        if batch and rows + ask.query.rows > max_rows:
            yield batch
            batch, rows = [], 0
        batch.append(ask)
        rows += ask.query.rows
    yield batch
