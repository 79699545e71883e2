"""One stack that grows while it runs: tasks on workers, serving in replicas behind a balancer."""

import time
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from tests.outside import MODEL, Outside
from tests.programs import wait_for
from tests.stack.lap import succeeded
from tests.stack.log import assert_kept, logged
from tests.stack.stack import Stack
from tests.stack.traffic import Traffic

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800), pytest.mark.usefixtures("scaled")]
WORKERS = REPLICAS = 2


@pytest.fixture(scope="module")
def scaled(stack: Stack) -> Iterator[Stack]:
    files = stack.environment.get("COMPOSE_FILE", "docker-compose.yml")
    other = {"COMPOSE_FILE": f"{files}:compose/scale.yml"}
    grown = replace(stack, environment=stack.environment | other)
    counts = [f"airflow-worker={WORKERS}", f"serving={REPLICAS}"]
    scales = [word for count in counts for word in ("--scale", count)]
    begun = time.monotonic()
    grown.compose("up", "--detach", "--wait", "--wait-timeout", "600", *scales)
    print(f"\n{WORKERS} workers, {REPLICAS} replicas after {time.monotonic() - begun:.0f} s")  # noqa: T201
    yield grown
    stack.compose("up", "--detach", "--wait", "--wait-timeout", "600", "--remove-orphans")


def test_tasks_run_on_every_worker(scaled: Stack, outside: Outside) -> None:
    dag = f"{MODEL}_monitor"
    seen: set[str] = set()

    def ran_everywhere() -> bool:
        run = outside.airflow.trigger(dag)
        tasks = outside.airflow.await_run(dag, run).values()
        seen.update(task["hostname"] for task in tasks if task["hostname"])
        return seen == workers(scaled)

    wait_for(ran_everywhere, "tasks on every worker", 300)


def test_a_task_s_log_is_read_in_the_ui(outside: Outside) -> None:
    dag = f"{MODEL}_monitor"
    run = outside.airflow.trigger(dag)
    outside.airflow.await_run(dag, run)
    assert f"'monitor', '--model', '{MODEL}'" in outside.airflow.log(dag, run, "monitor")


def test_a_killed_replica_costs_no_answer(scaled: Stack) -> None:
    token = scaled.secrets()["serving-label"]
    with Traffic(scaled.url("serving"), token) as traffic:
        for replica in scaled.all_of("serving"):
            before = len(traffic.answered)
            scaled.kill_container(replica)
            wait_for(lambda n=before: len(traffic.answered) > n + 100, "answers", 120)  # type: ignore[misc]
            wait_for(lambda: not scaled.ill(), "the replica to be back", 120)
    print(f"\n{len(traffic.answered)} answered, {len(traffic.failed)} failed")  # noqa: T201
    assert not traffic.failed
    assert len(traffic.labelled) == len(traffic.answered)
    assert_kept(traffic, logged(scaled, "prediction-log"))


def test_prometheus_asks_every_replica(scaled: Stack, outside: Outside) -> None:
    grown = 'job="serving", instance!="serving:8000"'  # which was asked until now
    asked = f"up{{{grown}}} == 1"
    wait_for(lambda: len(outside.prometheus(asked)) == REPLICAS, "both to be asked", 120)
    counted = f'relay_serving_requests_total{{{grown}, protocol="v2", code="200"}}'
    answers = f"sum by (instance) ({counted}) > 0"
    wait_for(lambda: len(outside.prometheus(answers)) == REPLICAS, "both to have answered", 120)


def test_a_body_that_is_too_large_is_refused_and_the_balancer_lives_on(scaled: Stack) -> None:
    answer = httpx.post(scaled.url("serving") + "/invocations", content=bytes(17 * 2**20))
    assert answer.status_code == 413
    assert "larger than 16 MiB" in answer.json()["error"]
    assert httpx.get(scaled.url("serving") + "/ready").is_success


def test_nobody_gets_into_the_queue_without_its_password(scaled: Stack) -> None:
    told = scaled.compose("exec", "-T", "valkey", "valkey-cli", "keys", "*", check=False)
    assert "NOAUTH" in told


def test_a_study_is_spread_over_the_workers(scaled: Stack, outside: Outside) -> None:
    dag = f"{MODEL}_tune"
    run = outside.airflow.trigger(dag)
    succeeded(outside, dag, run)
    path = f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances"
    answer = outside.airflow.client.get(path, params={"task_id": "tune"}).raise_for_status()
    trials = answer.json()["task_instances"]
    assert {trial["hostname"] for trial in trials} == workers(scaled)
    trained, *_ = (r for r in outside.airflow.runs(f"{MODEL}_train") if run in str(r["conf"]))
    tasks = outside.airflow.await_run(f"{MODEL}_train", trained["dag_run_id"])
    assert tasks["evaluate"]["state"] == "success"
    assert tasks["promote"]["state"] in {"success", "skipped"}, "the gate decides, as ever"


def workers(stack: Stack) -> set[str]:
    """Name the hosts that tasks may run on."""
    return {each["Config"]["Hostname"] for each in stack.all_of("airflow-worker")}
