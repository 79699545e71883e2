"""The front page's words: what is not known is never healthy."""

from datetime import UTC, datetime, timedelta

import pytest

from services.page.facts import EXPRESSIONS, Facts
from services.page.prometheus import Sample
from services.page.stages import Stage, stages_of
from services.page.words import ago, count, since, span


def dags(**states: str) -> list[Sample]:
    wanted = {"ingest": "success", "train": "success", "monitor": "success"} | states
    return [Sample({"dag": f"flights_{dag}", "state": s}, 1) for dag, s in wanted.items() if s]


WELL = {
    "dag": dags(),
    "dataset_version": [Sample({"dataset": "flights"}, 3)],
    "dataset_age": [Sample({"dataset": "flights"}, 120)],
    "dataset_rows": [Sample({"dataset": "flights"}, 82000)],
    "quarantined": [Sample({"model": "flights"}, 0)],
    "training_age": [Sample({"model": "flights"}, 3700)],
    "training_seconds": [Sample({"model": "flights"}, 74)],
    "version": [Sample({"model": "flights", "alias": "champion"}, 4)],
    "served": [Sample({"model": "flights"}, 4)],
    "wanted": [Sample({"model": "flights"}, 4)],
    "requests": [Sample({"model": "flights"}, 58.3)],
    "monitor_age": [Sample({"model": "flights"}, 30)],
    "checks": [Sample({"model": "flights", "verdict": "ok"}, 31)],
    "checks_readable": [Sample({"model": "flights"}, 1)],
    "retrain_requested": [Sample({"model": "flights"}, 0)],
    "budget": [Sample({"model": "flights"}, 2)],
}


def lap(**changed: list[Sample]) -> dict[str, Stage]:
    facts = Facts({name: [] for name in EXPRESSIONS} | WELL | changed)
    return {stage.name: stage for stage in stages_of("flights", facts)}


def test_a_lap_that_is_well() -> None:
    stages = lap()
    assert list(stages) == ["Data", "Train", "Gate", "Serve", "Watch", "Retrain"]
    assert {stage.state for stage in stages.values()} == {"ok"}
    assert stages["Data"].value == "version 3"
    assert stages["Data"].details == ("new 2 min ago", "82,000 rows")
    assert stages["Serve"].details == ("58.3 requests/s",)


def test_a_lap_that_nobody_tells_of_is_not_well() -> None:
    stages = lap(**{name: [] for name in WELL})
    assert {stage.state for stage in stages.values()} == {"unknown"}


@pytest.mark.parametrize(
    ("stage", "state", "changed"),
    [
        ("Data", "attention", {"quarantined": [Sample({"model": "flights"}, 1)]}),
        ("Data", "attention", {"paused": [Sample({"dag": "flights_ingest"}, 1)]}),
        ("Train", "attention", {"dag": dags(train="failed")}),
        ("Train", "running", {"dag": dags(train="running")}),
        ("Train", "unknown", {"dag": dags(train="")}),
        ("Serve", "attention", {"served": [Sample({"model": "flights"}, 3)]}),
        ("Serve", "attention", {"refused": [Sample({"model": "flights"}, 0.5)]}),
        ("Serve", "unknown", {"served": []}),
        (
            "Watch",
            "attention",
            {"checks": [Sample({"model": "flights", "verdict": "alert"}, 1)]},
        ),
        (
            "Watch",
            "unknown",
            {"checks": [Sample({"model": "flights", "verdict": "unknown"}, 1)]},
        ),
        ("Watch", "unknown", {"checks_readable": [Sample({"model": "flights"}, 0)]}),
        ("Retrain", "attention", {"budget": [Sample({"model": "flights"}, 0)]}),
        ("Retrain", "unknown", {"retrain_requested": []}),
    ],
)
def test_the_stage_that_is_not_well_is_named(
    stage: str, state: str, changed: dict[str, list[Sample]]
) -> None:
    stages = lap(**changed)
    assert {name: one.state for name, one in stages.items() if one.state != "ok"} == {stage: state}


def test_while_the_monitor_runs_its_decision_is_awaited_and_not_unknown() -> None:
    stage = lap(retrain_requested=[], budget=[], dag=dags(monitor="running"))["Retrain"]
    assert (stage.state, stage.value) == ("running", "being decided")


def test_results_that_wait_for_their_decision_are_not_unknown_until_they_are_old() -> None:
    watched = [Sample({"model": "flights"}, 300)]
    young, old = ([Sample({"model": "flights"}, age)] for age in (599, 601))
    undecided = {"retrain_requested": [], "budget": [], "watched": watched}
    stage = lap(monitor_age=young, **undecided)["Retrain"]
    assert (stage.state, stage.value) == ("running", "not decided yet")
    assert lap(monitor_age=old, **undecided)["Retrain"].state == "unknown"


def test_a_challenger_that_waits() -> None:
    version = [*WELL["version"], Sample({"model": "flights", "alias": "challenger"}, 5)]
    gate = [Sample({"model": "flights", "alias": "challenger"}, 0)]
    assert lap(version=version, gate=gate)["Gate"].value == "said no"
    assert lap(version=version)["Gate"].value == "not judged yet"
    assert lap()["Gate"].value == "nobody waits"


READ = [Sample({"source": name}, 1) for name in ("airflow", "checks", "data_registry", "mlflow")]


def started(**known: list[Sample]) -> bool:
    return Facts({name: [] for name in EXPRESSIONS} | {"source_up": READ} | known).started(
        "flights"
    )


def test_a_model_that_nobody_began_with_is_not_started() -> None:
    other = [Sample({"model": "other", "alias": "champion"}, 4)]
    assert not started(version=other, watched=[Sample({"model": "flights"}, 300)], dag=dags())


@pytest.mark.parametrize(
    "known",
    [
        {"dataset_version": WELL["dataset_version"]},
        {"version": WELL["version"]},
        {"checks_readable": [Sample({"model": "flights"}, 0)]},
        {"quarantined": [Sample({"model": "flights"}, 1)]},
        {"dag": dags(ingest="failed")},
        {"source_up": READ[:-1]},
        {"source_up": []},
    ],
    ids=lambda known: next(iter(known)),
)
def test_a_model_that_has_something_or_of_which_nobody_can_say_counts_as_started(
    known: dict[str, list[Sample]],
) -> None:
    assert started(**known)


def test_what_there_is_not_yet_is_said_in_words() -> None:
    assert lap(version=[])["Gate"].details == ("no champion yet",)
    assert lap(dataset_version=[])["Data"].value == "no version yet"


def test_words() -> None:
    assert [span(s) for s in (0, 59, 61, 3700, 90000)] == [
        "0 s", "59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h",
    ]  # fmt: skip
    assert ago(None) == "never seen"
    assert ago(130) == "2 min ago"
    assert count(1, "row") == "1 row"
    assert count(None, "row") == ""
    assert since(datetime.now(UTC) - timedelta(hours=2, seconds=5)) == "2 h ago"
    assert since("2026-01-01T00:00:00.123456789Z").endswith("ago")
