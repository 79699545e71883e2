"""The whole loop, from planted drift to the new champion, as the public APIs tell it."""

import pandas as pd
import pytest

from pipelines import models
from tests.outside import MODEL, Outside
from tests.programs import wait_for
from tests.stack.drift import replay, traffic
from tests.stack.lap import Lap, retrain_events

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


def test_airflow_tells_that_the_monitor_asked_and_why(outside: Outside, lap: Lap) -> None:
    (event, *_) = retrain_events(outside, lap.training)
    assert event["source_dag_id"] == f"{MODEL}_monitor"
    assert event["extra"]["version"] == lap.before
    assert "live_score" in event["extra"]["reason"]
    assert outside.run(f"{MODEL}_train", lap.training)["run_type"] == "asset_triggered"
    took = [f"{name:<36}{seconds:6.1f} s" for name, seconds in lap.seconds.items()]
    print("\n".join(["", f"from version {lap.before} to {lap.after}", *took]))  # noqa: T201


def test_mlflow_tells_who_is_champion_and_why(outside: Outside, lap: Lap) -> None:
    assert lap.after != lap.before
    assert outside.aliases()["champion"] == lap.after
    tags = outside.version(lap.after)["tags"]
    assert tags["relay.airflow_run"] == f"{MODEL}_train/{lap.training}"
    assert tags["relay.trigger"] == "retrain"
    assert tags["relay.gate"] == "yes"
    assert tags["relay.predecessor"] == lap.before
    (event, *_) = retrain_events(outside, lap.training)
    assert tags["relay.reason"] == event["extra"]["reason"]


def test_serving_answers_with_the_new_champion(
    outside: Outside, lap: Lap, changed_month: pd.DataFrame
) -> None:
    features = list(models.load(MODEL).policy.data.features)
    flight = changed_month.dropna(subset=features).iloc[-1].to_dict()
    assert outside.infer(flight)["model_version"] == lap.after


ALERTED = 'max_over_time(relay_check_verdict{verdict="alert",version="%(before)s",'
SEEN = {
    "live score": ALERTED + 'check="live_score"}[1h]) == 1',
    "drift": ALERTED + 'check="drift",column="pressure"}[1h]) == 1',
    "alert": 'last_over_time(ALERTS{alertname="LiveScoreWorse",alertstate="firing"}[1h])',
    "swap": 'relay_serving_served_version{role="champion"} == %(after)s',
}


@pytest.mark.parametrize("query", SEEN.values(), ids=SEEN)
def test_prometheus_has_seen_it(query: str, outside: Outside, lap: Lap) -> None:
    asked = query % {"before": lap.before, "after": lap.after}
    wait_for(lambda: outside.prometheus(asked), asked, 120)


def test_the_new_champion_is_worth_it_in_the_changed_world(
    outside: Outside, lap: Lap, changed_month: pd.DataFrame
) -> None:
    rows = traffic(changed_month)
    again = rows.assign(flight_id="again-" + rows["flight_id"])
    assert replay(outside, again) == len(again)
    dag = f"{MODEL}_monitor"
    outside.airflow.await_run(dag, outside.airflow.trigger(dag))
    verdict = f'relay_check_verdict{{check="live_score",verdict="ok",version="{lap.after}"}} == 1'
    wait_for(lambda: outside.prometheus(verdict), "a live score that is well", 120)
