"""One served version: queries in, logged outputs out, those that wait at one time together.

No query waits for others to come: what is there when the model is free is one batch. A batch that
takes no time computes on the event loop, which saves two hand-overs; any other on a thread of the
model's own, so that nobody else waits for it.
"""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from monitoring.prediction_log import PredictionLog, PredictionRecord, Role
from services.serving.errors import RequestError
from services.serving.metrics import Metrics
from services.serving.models.fields import Column
from services.serving.models.loading import Loaded
from services.serving.queries import Outputs, Query

_FAST_SECONDS = 0.001  # for a row: beyond it others would feel that the loop stands still
_LOOP_SECONDS = 0.005  # for a batch that is computed there, as measured when the model was loaded
_LOOK_SECONDS = 1.0  # between two looks for those who have waited too long


class VersionRef(NamedTuple):
    """A registered version; `created` tells apart models that had one name after each other."""

    model: str
    version: str
    created: int


class Limits(NamedTuple):
    """Rows: computed together, waiting; seconds: until an answer is given up. Each at most."""

    batch_rows: int = 1024
    waiting_rows: int = 16384
    answer_seconds: float = 60.0


class _Ask(NamedTuple):
    query: Query
    role: Role
    answer: "asyncio.Future[Outputs]"
    asked: float  # a query that another version was asked before is older


class Predictor:
    """A loaded version with its queue. `ask` belongs to the event loop, `answer` to any thread."""

    def __init__(
        self, ref: VersionRef, loaded: Loaded, log: PredictionLog, metrics: Metrics, limits: Limits
    ) -> None:
        self.ref = ref
        self.model = loaded.model
        self._log = log
        self._metrics = metrics
        self._limits = limits
        self._batch_rows = metrics.batch_rows.labels(ref.model)
        self._waiting: list[_Ask] = []
        self._waiting_rows = 0
        self._busy = False
        self._computing: list[_Ask] = []  # on the thread
        self._looking = False
        self._loop_rows = _loop_rows(loaded)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=ref.model)

    def ask(self, query: Query, role: Role) -> "asyncio.Future[Outputs]":
        """Queue a query; its outputs come when they are in the prediction log.

        Raises RequestError (503) where too many wait; the future where the log cannot be written,
        or no answer came in time.
        """
        if self._waiting and self._waiting_rows + query.rows > self._limits.waiting_rows:
            message = f"{self._waiting_rows} rows are waiting for model {self.ref.model!r}"
            raise RequestError(503, message + ": ask again soon, or less at once", retry_after=1)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Outputs] = loop.create_future()
        self._waiting.append(_Ask(query, role, answer, time.perf_counter()))
        self._waiting_rows += query.rows
        if not self._busy:
            self._busy = True
            loop.call_soon(self._turn)
        return answer

    def answer(self, queries: Sequence[Query], role: Role) -> list[Outputs]:
        """Compute queries as one batch and log them."""
        return self._answer(queries, [role] * len(queries))

    @property
    def waiting_rows(self) -> int:
        """How many rows wait to be computed."""
        return self._waiting_rows

    def _turn(self) -> None:
        waited = self._waiting_rows
        asks = self._next_batch()
        if waited - self._waiting_rows <= self._loop_rows:
            self._settle(asks, self._attempt(asks))
            return
        self._computing = asks
        self._look_later()
        try:
            attempt = asyncio.get_running_loop().run_in_executor(self._thread, self._attempt, asks)
        except RuntimeError as error:  # this machine gives no more threads
            self._settle(asks, [error] * len(asks))
        else:
            attempt.add_done_callback(lambda done: self._settle(asks, done.result()))

    def _look_later(self) -> None:
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Give up those who have waited too long: the model hangs, or too many ask it."""
        overdue = time.perf_counter() - self._limits.answer_seconds
        for ask in chain(self._computing, self._waiting):
            if ask.asked < overdue and not ask.answer.done():
                ask.answer.set_exception(self._late())
        self._waiting = [ask for ask in self._waiting if not ask.answer.done()]
        self._waiting_rows = sum(ask.query.rows for ask in self._waiting)
        self._looking = False
        if self._busy:
            self._look_later()

    def _late(self) -> RequestError:
        seconds = self._limits.answer_seconds
        message = f"model {self.ref.model!r} has not answered within {seconds:g} s: ask again later"
        return RequestError(503, message, retry_after=1)

    def _next_batch(self) -> list[_Ask]:
        """Take what waits and can be joined, up to the limit; a query that is larger goes alone."""
        rows = count = 0
        joinable = self.model.signature.joinable
        for ask in self._waiting:
            if count and rows + ask.query.rows > self._limits.batch_rows:
                break
            if not joinable(self._waiting[0].query.columns, ask.query.columns):
                break
            rows += ask.query.rows
            count += 1
        asks, self._waiting = self._waiting[:count], self._waiting[count:]
        self._waiting_rows -= rows
        return asks

    def _settle(self, asks: list[_Ask], answers: list[Outputs | Exception]) -> None:
        for ask, answer in zip(asks, answers, strict=True):
            if ask.answer.done():  # its client has gone away
                continue
            if isinstance(answer, Exception):
                ask.answer.set_exception(answer)
            else:
                ask.answer.set_result(answer)
        self._computing = []
        self._busy = bool(self._waiting)
        if self._busy:
            asyncio.get_running_loop().call_soon(self._turn)

    def _attempt(self, asks: list[_Ask]) -> list[Outputs | Exception]:
        """Compute a batch; a query that breaks the model is alone with it. Raises nothing."""
        try:
            return [*self._answer([ask.query for ask in asks], [ask.role for ask in asks])]
        except BaseException as error:  # noqa: BLE001  the boundary: a model may raise anything
            if len(asks) == 1 or isinstance(error, RequestError):
                return [_bearable(error)] * len(asks)
            return list(chain.from_iterable(self._attempt([ask]) for ask in asks))

    def _answer(self, queries: Sequence[Query], roles: Sequence[Role]) -> list[Outputs]:
        joined = self.model.run(self._joined(queries))
        rows, answers = 0, []
        for query in queries:
            end = rows + query.rows
            answers.append({name: array[rows:end] for name, array in joined.items()})
            rows = end
        self._batch_rows.observe(rows)
        self._write(queries, roles, answers)
        return answers

    def _joined(self, queries: Sequence[Query]) -> dict[str, Column]:
        if len(queries) == 1:
            return queries[0].columns
        names = self.model.signature.fields
        return {name: _joined([query.columns[name] for query in queries]) for name in names}

    def _write(
        self, queries: Sequence[Query], roles: Sequence[Role], answers: list[Outputs]
    ) -> None:
        now, clock = datetime.now(UTC), time.perf_counter()
        model, version, _ = self.ref
        records = [
            PredictionRecord(
                id=query.id,
                rows=query.rows,
                time=now,
                event_time=query.event_time or now,
                model=model,
                version=version,
                role=role,
                features=query.columns,
                output=outputs,
                latency_seconds=round(clock - query.received, 6),
            )
            for query, role, outputs in zip(queries, roles, answers, strict=True)
        ]
        started = time.perf_counter()
        try:
            self._log.append(records)
        except OSError as error:
            self._metrics.log_failures.inc()
            message = "the prediction log cannot be written, so there is no answer: try again"
            raise RequestError(503, message, retry_after=1) from error
        self._metrics.log_seconds.observe(time.perf_counter() - started)
        for role in set(roles):
            count = sum(q.rows for q, r in zip(queries, roles, strict=True) if r == role)
            self._metrics.predictions.labels(model, version, role).inc(count)


def _joined(columns: list[Any]) -> Column:
    if isinstance(columns[0], list):
        return list(chain.from_iterable(columns))
    return np.concatenate(columns)


def _loop_rows(loaded: Loaded) -> int:
    """How many rows may compute on the event loop; 0 for a slow model, or one that may hang."""
    if loaded.model.foreign or loaded.seconds > _FAST_SECONDS:
        return 0
    return 1 + int((_LOOP_SECONDS - loaded.seconds) / max(loaded.seconds_of_a_further_row, 1e-9))


def _bearable(error: BaseException) -> Exception:
    """Make of what would end a process, or what no future takes, an error like others."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError(f"the model raised {error!r}")
    wrapped.__cause__ = error
    return wrapped
