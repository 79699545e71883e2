import pandas as pd
import pytest
import yaml

from monitoring.checks import run_checks
from monitoring.limits import MonitorLimits
from monitoring.sketches import sketch_training
from monitoring.suggested_limits import MARGIN, limit, render, suggest
from tests.monitor_windows import SCHEMA, SECTION, WINDOW, answers, limits, sketch

REFERENCE = sketch_training(answers(5000, seed=1), SCHEMA, "binary")


def moved(seed: int) -> pd.DataFrame:
    """A quiet window of a restless column: the weather of another fortnight."""
    frame = answers(seed=seed)
    return frame.assign(temp=frame["temp"] + 5 * (seed % 3))


WINDOWS = [(REFERENCE, sketch(moved(seed))) for seed in range(2, 8)]


def test_the_windows_that_limits_were_taken_from_stay_quiet() -> None:
    section = yaml.safe_load(render(suggest(WINDOWS, SCHEMA, limits())))
    suggested = MonitorLimits.model_validate({**SECTION, **section})
    for reference, window in WINDOWS:
        results = run_checks(WINDOW, reference, window, SCHEMA, suggested)
        assert [r.check for r in results if r.verdict == "alert"] == []


def test_a_restless_column_gets_room_and_a_steady_one_does_not() -> None:
    found = {(s.key, s.column): s for s in suggest(WINDOWS, SCHEMA, limits())}
    assert (found["drift", "temp"].limit or 0) >= MARGIN * 0.9, "10 F are a standard deviation"
    assert (found["drift", "hour"].limit or 1) < 0.2
    assert found["max_jump", "temp"].limit == 1.0, "warmer all fortnight long, and no step in it"
    assert found["max_missing_increase", "temp"].limit == 0.03, "never missing: the least limit"
    assert {s.windows for s in found.values()} == {len(WINDOWS)}


def wild(share: float) -> pd.DataFrame:
    """A window of which so much looks wrong."""
    frame = answers(seed=2)
    odd = frame.index < share * len(frame)
    return frame.assign(
        carrier=frame["carrier"].mask(odd, "ZZ"),
        hour=frame["hour"].mask(odd, 99),
        temp=frame["temp"].mask(odd),
    )


def test_a_limit_is_one_that_the_policy_takes_and_that_a_whole_window_is_above() -> None:
    text = render(suggest([(REFERENCE, sketch(wild(0.8)))], SCHEMA, limits()))
    suggested = MonitorLimits.model_validate({**SECTION, **yaml.safe_load(text)})

    def alerts(share: float) -> set[tuple[str, str | None]]:
        results = run_checks(WINDOW, REFERENCE, sketch(wild(share)), SCHEMA, suggested)
        return {(r.check, r.column) for r in results if r.verdict == "alert"}

    assert alerts(0.8) == set()
    assert {
        ("new_category", "carrier"),
        ("drift", "carrier"),
        ("out_of_range", "hour"),
        ("missing", "temp"),
    } <= alerts(1)


def test_a_quiet_window_that_no_limit_is_above_is_said() -> None:
    foreign = sketch(answers(seed=2).assign(carrier="ZZ"))
    text = render(suggest([*WINDOWS, (REFERENCE, foreign)], SCHEMA, limits()))
    assert "carrier: 0.99" in text
    assert "alerts in some of 7 quiet windows (at most 1)" in text


def test_the_yaml_says_why() -> None:
    text = render(suggest(WINDOWS, SCHEMA, limits()))
    (line,) = (each for each in text.splitlines() if each.lstrip().startswith("temp:"))
    assert "in 6 quiet windows" in line


def test_a_column_with_too_few_values_for_a_jump_is_not_asked_for_one() -> None:
    sparse = answers().assign(seats=lambda rows: rows["seats"].where(rows.index % 40 == 0))
    text = render(suggest([*WINDOWS, (REFERENCE, sketch(sparse))], SCHEMA, limits()))
    assert "seats: null" in text
    assert yaml.safe_load(text)["max_jump"] == {"default": 1, "columns": {"seats": None}}


def test_no_window_and_a_check_that_cannot_run_are_said() -> None:
    with pytest.raises(ValueError, match="there is no window"):
        suggest([], SCHEMA, limits())
    lacking = sketch(answers().drop(columns="temp"))
    with pytest.raises(ValueError, match="missing of temp could not run"):
        suggest([(REFERENCE, lacking)], SCHEMA, limits())


@pytest.mark.parametrize(
    ("value", "rounded"), [(0.1234, 0.13), (1.5, 1.5), (2.31, 2.4), (0.02, 0.02)]
)
def test_a_limit_is_rounded_up_to_two_digits(value: float, rounded: float) -> None:
    assert limit(value) == rounded
