from typing import Any

import pytest
from pydantic import ValidationError

from monitoring.limits import MonitorLimits
from tests.monitor_windows import SCHEMA, SECTION, limits


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"window_day": 14}, "window_day"),
        ({"drift": {"default": 0.2, "predictions": 0.5}}, "drift.predictions"),
        ({"max_missing_increase": {"default": 0.1, "column": {}}}, "max_missing_increase.column"),
        ({"min_rows": "300"}, "min_rows"),
        ({"min_rows": 0}, "min_rows"),
        ({"drift": {"default": 0.0, "prediction": 0.5}}, "drift.default"),
        ({"max_duplicate_share": 5}, "max_duplicate_share"),
        ({"max_duplicate_share": float("nan")}, "max_duplicate_share"),
    ],
)
def test_a_section_that_is_wrong_names_the_key(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ValidationError) as caught:
        limits(**changes)
    assert key in {".".join(map(str, fault["loc"])) for fault in caught.value.errors()}


@pytest.mark.parametrize("key", sorted(set(SECTION) - {"max_jump", "max_label_lag_days"}))
def test_no_limit_has_a_silent_default(key: str) -> None:
    section = {name: value for name, value in SECTION.items() if name != key}
    with pytest.raises(ValidationError, match=key):
        MonitorLimits.model_validate(section)


def test_a_policy_older_than_the_jump_does_not_ask_for_it() -> None:
    older = {name: value for name, value in SECTION.items() if name != "max_jump"}
    assert MonitorLimits.model_validate(older).max_jump.of("temp") is None


def test_a_column_may_be_left_out_of_the_jump() -> None:
    ours = limits(max_jump={"default": 1.0, "columns": {"weekday": None, "temp": 2.4}})
    assert [ours.max_jump.of(name) for name in ("weekday", "temp", "hour")] == [None, 2.4, 1.0]


def test_a_column_s_own_limit_comes_before_the_default() -> None:
    ours = limits(drift={"default": 0.2, "columns": {"temp": 3.0}})
    assert (ours.drift.of("temp"), ours.drift.of("hour")) == (3.0, 0.2)


@pytest.mark.parametrize("key", ["max_missing_increase", "max_stuck_increase", "max_jump"])
def test_a_limit_of_an_unknown_column_is_refused(key: str) -> None:
    ours = limits(**{key: {"default": 0.1, "columns": {"tmep": 0.5}}})
    with pytest.raises(ValueError, match=rf"monitor\.{key}\.columns names tmep"):
        ours.refuse_unknown_columns(SCHEMA)
