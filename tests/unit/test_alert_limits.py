import pytest
import yaml

from pipelines import alert_limits, models
from pipelines.policy import Policy, PolicyError

POLICY = models.load(models.names()[0]).policy


def changed(**sections: dict[str, object] | None) -> Policy:
    """The first model's policy with other values in some sections; None: without the section."""
    content = POLICY.model_dump(mode="json", by_alias=True)
    for name, values in sections.items():
        content[name] = {**content[name], **values} if values else None
    return Policy.model_validate(content)


def series(policy: Policy) -> dict[str, float]:
    return {name: value for name, value, _ in alert_limits.limits(policy)}


def test_the_committed_limits_are_those_of_the_policies() -> None:
    rendered = alert_limits.render(models.load(name).policy for name in models.names())
    assert alert_limits.TARGET.read_text() == rendered, "run `python -m pipelines.alert_limits`"


def test_a_limit_is_a_rule_with_the_models_name() -> None:
    policy = changed(serve={"availability": 0.99999})
    rules = yaml.safe_load(alert_limits.render([policy]))["groups"][0]["rules"]
    wanted = {
        "record": "relay:objective_availability_ratio",
        "expr": "vector(0.99999)",
        "labels": {"model": policy.model},
    }
    assert wanted in rules


def test_a_companion_has_its_models_objectives_and_no_more() -> None:
    policy = changed().model_copy(update={"companions": ["sampler"]})
    rules = yaml.safe_load(alert_limits.render([policy]))["groups"][0]["rules"]
    found = {rule["record"] for rule in rules if rule["labels"]["model"].endswith("-sampler")}
    objectives = {"relay:objective_availability_ratio", "relay:objective_latency_seconds"}
    assert found == objectives
    for record in objectives:
        labelled = {
            rule["labels"]["model"]: rule["expr"] for rule in rules if rule["record"] == record
        }
        assert set(labelled) == {policy.model, f"{policy.model}-sampler"}
        assert len(set(labelled.values())) == 1


@pytest.mark.parametrize(
    ("schedule", "seconds"),
    [
        ("*/5 * * * *", 300),
        ("* * * * *", 60),
        ("7,37 * * * *", 1800),
        ("@hourly", 3600),
        ("0 9 * * 1-5", 3 * 86400),  # Friday to Monday
        ("*/10 8-18 * * *", 13 * 3600 + 600),  # over night
        ("0 0 1 * *", 31 * 86400),
    ],
)
def test_a_period_is_the_longest_time_between_two_runs(schedule: str, seconds: float) -> None:
    policy = changed(monitor={"schedule": schedule})
    assert series(policy)["relay:monitor_period_seconds"] == seconds


def test_what_has_no_schedule_has_no_period() -> None:
    assert "relay:ingest_period_seconds" not in series(changed(ingest={"schedule": None}))


@pytest.mark.parametrize("schedule", ["every day", "61 * * * *", "0 0 30 2 *", "* * * *"])
def test_a_schedule_that_is_none_is_named(schedule: str) -> None:
    with pytest.raises(PolicyError, match=rf"{POLICY.model}: monitor.schedule is '"):
        series(changed(monitor={"schedule": schedule}))


def test_a_policy_recorded_before_there_were_promises_still_reads() -> None:
    assert "relay:objective_latency_seconds" not in series(changed(serve=None))
