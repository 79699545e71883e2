"""A predictor's queue: who is computed together, who is refused, and that nothing stops it."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest

from monitoring.prediction_log import PredictionLog
from monitoring.prediction_log.reading import read_predictions
from services.serving.errors import RequestError
from services.serving.metrics import Metrics
from services.serving.models.loading import Loaded
from services.serving.models.model import Origin
from services.serving.models.onnx_model import OnnxModel
from services.serving.models.signature import Columns, read_signature
from services.serving.predictor import Limits, Predictor, VersionRef
from services.serving.queries import Outputs, Query
from tests.small_models import expected, small_model

TYPES = {"carrier": "string", "hour": "long", "temp": "double"}
FAST, SLOW = 0.0001, 1.0  # seconds that a row took: computed on the event loop, on a thread
BAD_HOUR = 13
OUTLAWS: list[BaseException] = [
    ValueError("no"),
    MemoryError(),
    StopIteration("no future takes it"),
    SystemExit(3),
    KeyboardInterrupt(),
    asyncio.CancelledError(),
]


class Strange(OnnxModel):
    """A small model that notes its threads, waits where it is held, raises at BAD_HOUR."""

    def __init__(self, graph: Path) -> None:
        specs = [{"name": name, "type": kind, "required": True} for name, kind in TYPES.items()]
        super().__init__(graph, read_signature(json.dumps(specs)), Origin("", ""))
        self.threads: list[threading.Thread] = []
        self.free = threading.Event()
        self.free.set()
        self.outlaw: BaseException = ValueError("no")

    def run(self, columns: Columns) -> Outputs:
        self.threads.append(threading.current_thread())
        self.free.wait()
        if BAD_HOUR in columns["hour"]:
            raise self.outlaw
        return super().run(columns)


class Stage:
    """A model, its log, its metrics; predictors on them."""

    def __init__(self, home: Path) -> None:
        onnx.save(small_model(), home / "model.onnx")
        self.model = Strange(home / "model.onnx")
        self.root = home / "log"
        self.log = PredictionLog(self.root)
        self.metrics = Metrics()

    def predictor(
        self, seconds: float = FAST, seconds_of_a_further_row: float = 0.0, **limits: Any
    ) -> Predictor:
        loaded = Loaded(self.model, seconds, seconds_of_a_further_row)
        ref = VersionRef("flights", "1", 0)
        return Predictor(ref, loaded, self.log, self.metrics, Limits(**limits))

    def batches(self) -> tuple[float | None, float | None]:
        """How many were computed, and their rows."""
        name, labels = "relay_serving_batch_rows", {"model": "flights"}
        value = self.metrics.registry.get_sample_value
        return value(f"{name}_count", labels), value(f"{name}_sum", labels)

    def logged(self) -> list[str]:
        return sorted(read_predictions(self.root, "flights")["id"])


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.model.free.set()
    stage.log.close()


def query(name: str, hour: int = 6, rows: int = 1) -> Query:
    return Query(
        name, {"carrier": ["UA"] * rows, "hour": [hour] * rows, "temp": [31.5] * rows}, rows
    )


def is_right(outputs: Outputs, asked: Query) -> bool:
    return bool(np.allclose(outputs["probability"], expected(pd.DataFrame(asked.columns))))


async def is_served(predictor: Predictor) -> bool:
    """Whether it still answers, in any time that a person would wait."""
    asked = query("at the end", 7)
    return is_right(await asyncio.wait_for(predictor.ask(asked, "champion"), 30), asked)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0)


def run(main: Awaitable[None]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(main, 60)

    asyncio.run(bounded())


def test_a_lone_ask_waits_for_no_other(stage: Stage) -> None:
    async def main() -> None:
        asked = query("a")
        answer = stage.predictor().ask(asked, "champion")
        await asyncio.sleep(0)
        assert answer.done()
        assert is_right(answer.result(), asked)

    run(main())
    assert stage.model.threads == [threading.main_thread()]
    assert stage.logged() == ["a"]


def test_asks_of_one_turn_are_one_batch(stage: Stage) -> None:
    async def main() -> None:
        predictor = stage.predictor()
        asked = [query(str(hour), hour, rows=hour + 1) for hour in range(5)]
        answers = [predictor.ask(each, "champion") for each in asked]
        assert predictor.waiting_rows == 15
        await asyncio.sleep(0)
        assert all(is_right(each.result(), q) for each, q in zip(answers, asked, strict=True))
        assert predictor.waiting_rows == 0

    run(main())
    assert stage.batches() == (1, 15)


def test_a_batch_has_a_limit_and_a_larger_query_goes_alone(stage: Stage) -> None:
    async def main() -> None:
        predictor = stage.predictor(batch_rows=4)
        asked = [query(str(n), rows=rows) for n, rows in enumerate((3, 2, 2, 9, 1))]
        answers = await asyncio.gather(*(predictor.ask(each, "champion") for each in asked))
        assert all(map(is_right, answers, asked))

    run(main())
    assert stage.batches() == (4, 17)  # 3, 2 + 2, 9, 1


@pytest.mark.parametrize("seconds", [FAST, SLOW], ids=["loop", "thread"])
@pytest.mark.parametrize("outlaw", OUTLAWS, ids=lambda each: type(each).__name__)
def test_a_query_that_breaks_the_model_fails_alone(
    stage: Stage, outlaw: BaseException, seconds: float
) -> None:
    stage.model.outlaw = outlaw

    async def main() -> None:
        predictor = stage.predictor(seconds)
        hours = (6, BAD_HOUR, 12)
        asked = [query(str(hour), hour) for hour in hours]
        asking = (predictor.ask(each, "champion") for each in asked)
        first, second, third = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(second, Exception)
        assert outlaw in (second, second.__cause__)
        assert isinstance(first, dict)
        assert isinstance(third, dict)
        assert is_right(first, asked[0])
        assert is_right(third, asked[2])
        assert await is_served(predictor)

    run(main())
    assert stage.logged() == ["12", "6", "at the end"]


def test_beyond_its_limit_the_queue_refuses(stage: Stage) -> None:
    async def main() -> None:
        predictor = stage.predictor(waiting_rows=3)
        asked = [query("a", rows=2), query("b")]
        answers = [predictor.ask(each, "champion") for each in asked]
        with pytest.raises(RequestError, match="3 rows are waiting for model 'flights'") as refused:
            predictor.ask(query("c"), "champion")
        assert (refused.value.status, refused.value.retry_after) == (503, 1)
        assert all(map(is_right, await asyncio.gather(*answers), asked))
        alone = query("d", rows=50)  # where nobody waits there is room for anyone
        assert is_right(await predictor.ask(alone, "champion"), alone)

    run(main())


@pytest.mark.parametrize("seconds", [FAST, SLOW], ids=["loop", "thread"])
def test_a_client_that_goes_hurts_nobody(stage: Stage, seconds: float) -> None:
    async def main() -> None:
        predictor = stage.predictor(seconds)
        gone, stays = predictor.ask(query("a"), "champion"), predictor.ask(query("b"), "champion")
        gone.cancel()
        assert is_right(await stays, query("b"))
        assert await is_served(predictor)

    run(main())


def test_a_machine_without_threads_is_an_error_and_no_end(stage: Stage) -> None:
    async def main() -> None:
        predictor = stage.predictor(SLOW)
        predictor._thread.shutdown()  # it raises what it would raise there
        for name in ("a", "b"):
            with pytest.raises(RuntimeError):
                await predictor.ask(query(name), "champion")

    run(main())


def test_a_slow_model_and_a_large_query_leave_the_loop(stage: Stage) -> None:
    async def main() -> None:
        predictor = stage.predictor(FAST, seconds_of_a_further_row=0.001)
        for rows in (1, 4, 50):
            await predictor.ask(query(str(rows), rows=rows), "champion")
        await stage.predictor(SLOW).ask(query("slow"), "champion")

    run(main())
    here = [thread is threading.main_thread() for thread in stage.model.threads]
    assert here == [True, True, False, False]


def test_nobody_waits_for_a_model_that_hangs(stage: Stage) -> None:
    """Neither those that it computes nor those that wait, nor who comes later."""

    async def main() -> None:
        predictor = stage.predictor(SLOW, answer_seconds=0.05)
        stage.model.free.clear()
        computing = predictor.ask(query("a"), "champion")
        await until(lambda: stage.model.threads)
        waiting = predictor.ask(query("b"), "champion")
        for answer in (computing, waiting):
            with pytest.raises(RequestError, match=r"not answered within 0\.05 s") as refused:
                await answer
            assert (refused.value.status, refused.value.retry_after) == (503, 1)
        assert predictor.waiting_rows == 0
        again = predictor.ask(query("c"), "champion")
        with pytest.raises(RequestError):
            await again

    run(main())
    stage.model.free.set()


def test_a_query_that_waited_for_another_version_has_its_time_anew(stage: Stage) -> None:
    async def main() -> None:
        stage.model.free.clear()
        asked = query("a")
        asked.received -= 60
        answer = stage.predictor(SLOW, answer_seconds=30).ask(asked, "champion")
        await asyncio.sleep(1.5)  # those that are late are looked for every second
        stage.model.free.set()
        assert is_right(await answer, asked)

    run(main())


def test_a_model_that_hung_goes_on(stage: Stage) -> None:
    async def main() -> None:
        predictor = stage.predictor(SLOW, answer_seconds=2)
        stage.model.free.clear()
        with pytest.raises(RequestError):
            await predictor.ask(query("a"), "champion")
        stage.model.free.set()
        assert await is_served(predictor)

    run(main())
