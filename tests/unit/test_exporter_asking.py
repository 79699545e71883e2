"""Sources of the exporter that behave and that do not; time passes where a test says so."""

import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from services.exporter.asking import READ, SECONDS, UP, Asked
from services.exporter.gauges import Gauge, Sample
from services.exporter.source import SourceAwayError

VALUE = Gauge("relay_value", "a value")
LONG = 60.0


class Behaving:
    """Reads as a test says, and counts how often it was asked."""

    name = "behaving"

    def __init__(self, how: Callable[[], Iterator[Sample]]) -> None:
        self.how = how
        self.asked = 0

    def read(self) -> Iterator[Sample]:
        self.asked += 1
        return self.how()


def well() -> Iterator[Sample]:
    yield VALUE(7)


def away() -> Iterator[Sample]:
    yield VALUE(7)
    raise SourceAwayError("http://user:secret@host/path is closed")


def broken() -> Iterator[Sample]:
    raise KeyError("a bug")


def seen(asked: Asked, wait: float = LONG) -> dict[str, float]:
    deadline = time.monotonic() + wait
    return {sample.gauge.name: sample.value for sample in asked.end(asked.begin(), deadline)}


def test_what_is_well_is_shown_with_when_it_was_read() -> None:
    before = time.time()
    found = seen(Asked(Behaving(well), LONG))
    assert found[UP.name] == 1
    assert found[VALUE.name] == 7
    assert before <= found[READ.name] <= time.time()
    assert found[SECONDS.name] >= 0


@pytest.mark.parametrize("how", [away, broken])
def test_what_is_not_is_away_and_nothing_of_it_is_shown(
    how: Callable[[], Iterator[Sample]],
) -> None:
    found = seen(Asked(Behaving(how), LONG))
    assert found.keys() == {UP.name, SECONDS.name}
    assert found[UP.name] == 0


def test_a_fresh_value_is_not_asked_for_again_and_a_stale_one_is() -> None:
    seldom, always = Behaving(well), Behaving(well)
    for source, fresh in ((seldom, LONG), (always, 0.0)):
        asked = Asked(source, LONG, fresh)
        assert [seen(asked)[VALUE.name] for _ in range(3)] == [7, 7, 7]
    assert (seldom.asked, always.asked) == (1, 3)


def test_one_that_hangs_is_away_in_time_and_asked_by_one_alone() -> None:
    go_on = threading.Event()

    def hanging() -> Iterator[Sample]:
        go_on.wait()
        yield VALUE(7)

    source = Behaving(hanging)
    asked = Asked(source, LONG)
    assert [seen(asked, wait=0)[UP.name] for _ in range(5)] == [0] * 5
    assert source.asked == 1
    late = asked.begin()
    go_on.set()
    assert VALUE(7) in list(asked.end(late, time.monotonic() + LONG))
    assert seen(asked)[UP.name] == 1


def test_what_was_read_too_long_is_perhaps_true_no_more() -> None:
    assert seen(Asked(Behaving(well), longest_seconds=0))[UP.name] == 0


def test_the_log_says_once_why_one_is_away_and_when_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = Behaving(away)
    asked = Asked(source, LONG)
    for how in (away, away, well, well):
        source.how = how
        seen(asked)
    said = [record.getMessage() for record in caplog.records]
    assert said == ["behaving is away: http://host/path is closed", "behaving is back"]


def test_a_bug_of_ours_is_in_the_log_with_where_it_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    seen(Asked(Behaving(broken), LONG))
    assert "KeyError: 'a bug'" in caplog.text
    assert "in broken" in caplog.text
