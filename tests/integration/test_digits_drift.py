"""What may happen to images, planted into answers of digits' champion, and found by its monitor."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.planted import DAY, Champion
from tests.programs import Program
from tests.small_models import delete

log = logging.getLogger(__name__)  # the figures: pytest --log-cli-level INFO

pytestmark = pytest.mark.timeout(600)

BEGIN = pd.Timestamp("2024-05-01", tz="UTC")  # of the drift


@pytest.fixture(scope="module")
def champion(
    tmp_path_factory: pytest.TempPathFactory, mlflow_server: Program
) -> Iterator[Champion]:
    try:
        home, months = tmp_path_factory.mktemp("home"), ["2024-01", "2024-02", "2024-03"]
        yield Champion.of("digits", months, home, mlflow_server.url)
    finally:
        delete(mlflow_server.url, "digits")


@pytest.fixture(scope="module")
def asked(champion: Champion) -> pd.DataFrame:
    return champion.asked(["2024-04", "2024-05"])


def test_quiet_weeks_are_quiet(champion: Champion, asked: pd.DataFrame) -> None:
    answers, highest = champion.answer(asked), dict[str, float]()
    for week in range(2, 9):
        end = pd.Timestamp("2024-04-01", tz="UTC") + week * 7 * DAY
        results = champion.judge(answers, end, champion.model.policy.monitor)
        assert [(r.check, r.column, end) for r in results if r.verdict != "ok"] == []
        for each in results:
            name = f"{each.check} {each.column or ''}".strip()
            highest[name] = max(highest.get(name, 0.0), each.score or 0.0)
    log.info("quiet: %s", {name: round(score, 3) for name, score in highest.items()})


@pytest.mark.parametrize(
    ("drift", "check", "column", "days"),
    [
        ("noise", "jump", "ink_share", 3),
        ("rotation", "jump", "confidence", 3),
        ("inversion", "jump", "intensity", 2),
        ("rarity", "prediction_drift", "digit", 14),
    ],
)
def test_a_drift_is_named_within_days(
    champion: Champion,
    asked: pd.DataFrame,
    tmp_path: Path,
    drift: str,
    check: str,
    column: str,
    days: int,
) -> None:
    good, limits = asked["event_time"] < BEGIN, champion.model.policy.monitor
    changed = champion.model.drifts[drift](asked[~good])
    answers = champion.answer(pd.concat([asked[good], changed], ignore_index=True))
    assert champion.alerts(answers, BEGIN, limits) == set()
    found: dict[tuple[str, str | None], int] = {}
    for since in range(1, days + 1):
        for alert in champion.alerts(answers, BEGIN + since * DAY, limits):
            found.setdefault(alert, since)
        if (check, column) in found:
            break
    log.info("%s: %s", drift, dict(sorted(found.items(), key=lambda each: each[1])))
    assert (check, column) in found, f"not found within {days} days"
    end = BEGIN + found[check, column] * DAY
    assert (check, column) in champion.monitored(answers, end, tmp_path)
