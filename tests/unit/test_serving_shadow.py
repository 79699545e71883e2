"""The shadow's queues: how much waits for a challenger, and that none waits for another's."""

import gc
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.serving.challenger.shadow import Shadow
from services.serving.metrics import Metrics
from services.serving.models.loading import Loaded
from services.serving.predictor import Limits, Predictor, VersionRef
from tests.programs import wait_for
from tests.unit.test_serving_predictor import FAST, Stage, query

BOTH = ("flights", "birds")


class Challengers:
    """A shadow and challengers that can be held."""

    def __init__(self, home: Path) -> None:
        self.metrics = Metrics()
        self.shadow = Shadow(self.metrics)
        self.stages = {name: Stage(home / name) for name in BOTH}

    def load(self, model: str) -> Predictor:
        stage = self.stages[model]
        loaded = Loaded(stage.model, FAST, 0.0)
        return Predictor(VersionRef(model, "2", 0), loaded, stage.log, self.metrics, Limits())

    def hold(self, model: str) -> None:
        self.stages[model].model.free.clear()

    def free(self, model: str) -> None:
        self.stages[model].model.free.set()

    def shadowed(self, model: str) -> float:
        labels = {"model": model, "version": "2", "role": "shadow"}
        name = "relay_serving_predictions_total"
        return self.metrics.registry.get_sample_value(name, labels) or 0

    def dropped(self, model: str) -> float:
        name = "relay_serving_shadow_dropped_total"
        return self.metrics.registry.get_sample_value(name, {"model": model}) or 0


@pytest.fixture
def challengers(tmp_path: Path) -> Iterator[Challengers]:
    for name in BOTH:
        (tmp_path / name).mkdir()
    challengers = Challengers(tmp_path)
    yield challengers
    for name in BOTH:
        challengers.free(name)
    assert challengers.shadow.close(30)
    for stage in challengers.stages.values():
        stage.log.close()


def test_a_large_query_is_dropped_only_where_others_wait(challengers: Challengers) -> None:
    flights = challengers.load("flights")
    challengers.hold("flights")
    challengers.shadow.offer(flights, query("large", rows=5000))
    challengers.shadow.offer(flights, query("one more"))
    assert challengers.dropped("flights") == 1
    challengers.free("flights")
    wait_for(lambda: challengers.shadowed("flights") == 5000, "the large one")


def test_so_many_rows_wait_for_a_challenger(challengers: Challengers) -> None:
    flights = challengers.load("flights")
    challengers.hold("flights")
    for name, rows in (("a", 400), ("b", 600), ("one too many", 1)):
        challengers.shadow.offer(flights, query(name, rows=rows))
    assert challengers.dropped("flights") == 1
    challengers.free("flights")
    wait_for(lambda: challengers.shadowed("flights") == 1000, "those that had room")


def test_a_challenger_that_hangs_takes_nothing_from_others(challengers: Challengers) -> None:
    flights, birds = map(challengers.load, BOTH)
    challengers.hold("flights")
    for number in range(3):
        challengers.shadow.offer(flights, query(str(number), rows=500))
    challengers.shadow.offer(birds, query("a", rows=900))
    wait_for(lambda: challengers.shadowed("birds") == 900, "the other model's shadow")
    assert (challengers.dropped("flights"), challengers.dropped("birds")) == (1, 0)
    assert not challengers.shadow.close(0.05)


def test_a_challenger_that_goes_takes_its_thread_along(challengers: Challengers) -> None:
    def threads() -> int:
        return sum(thread.name.startswith("shadow") for thread in threading.enumerate())

    wait_for(lambda: not threads(), "those of other tests to end")
    flights = challengers.load("flights")
    challengers.shadow.offer(flights, query("a"))
    wait_for(lambda: challengers.shadowed("flights") == 1, "its answer")
    assert threads() == 1
    gone = weakref.ref(flights)
    del flights
    wait_for(lambda: gc.collect() >= 0 and gone() is None, "it to go")
    wait_for(lambda: not threads(), "its thread to end")
