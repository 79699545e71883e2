"""The exporter on a real Airflow that runs DAGs of ours."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.embedded import credentials
from services.embedded.airflow_api import AirflowApi as Person
from services.embedded.platform import start as start_platform
from services.embedded.settings import ROOT, SERVED, Embedded
from services.exporter.airflow import AirflowSource
from services.exporter.airflow_api import AirflowApi
from tests.bad_network import Spoil, bad_network
from tests.exporter_program import exporter, scrape, shown, up
from tests.programs import Program, free_port, wait_for

Start = Callable[[AbstractContextManager[Program]], Program]
OTHERS = [name for name in SERVED if name != "airflow"]
INGEST, TRAIN = "toy_ingest", "toy_train"

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not (ROOT / ".venv-airflow/bin/airflow").exists(), reason="Airflow is not installed"
    ),
]

DAGS = """
from airflow.sdk import DAG
from airflow.providers.standard.operators.bash import BashOperator

with DAG("toy_ingest", schedule=None, is_paused_upon_creation=False):
    command = "until [ -e {{ dag_run.conf['done'] }} ]; do sleep 0.1; done; "
    first = BashOperator(task_id="first", bash_command=command + "exit {{ dag_run.conf['code'] }}")
    first >> BashOperator(task_id="second", bash_command="true")
with DAG("toy_train", schedule=None, is_paused_upon_creation=True):
    BashOperator(task_id="train", bash_command="true")
with DAG("somebody_elses", schedule=None):
    BashOperator(task_id="other", bash_command="true")
"""


@dataclass
class Airflow:
    """An Airflow that runs, a person who is logged in, and the password in a file."""

    url: str
    person: Person
    password_file: Path

    def trigger(self, done: Path, code: int) -> str:
        """Begin a run whose first task ends with this code once there is a file `done`."""
        return self.person.trigger(INGEST, {"done": str(done), "code": code})


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    folder = tmp_path_factory.mktemp("airflow")
    dags, home, password_file = (folder / name for name in ("dags", "home", "password"))
    dags.mkdir()
    (dags / "toys.py").write_text(DAGS)
    (dags / "broken.py").write_text("from airflow.sdk import DAG, nothing_of_this_name")
    settings = Embedded.model_validate({"home": home, "dags": dags, "airflow_port": free_port()})
    with start_platform(settings, leave_out=dict.fromkeys(OTHERS, "not asked")):
        password = credentials.airflow_password(home / "secrets")
        password_file.write_text(password + "\n")
        person = Person(settings.url("airflow"), credentials.ADMIN, password)
        wait_for(lambda: person.knows(INGEST) and person.import_errors(), "the DAGs to be read")
        yield Airflow(settings.url("airflow"), person, password_file)


@pytest.fixture
def program(start: Start, airflow: Airflow, tmp_path: Path) -> Program:
    return start(looking_at(airflow, tmp_path))


def looking_at(airflow: Airflow, home: Path, **settings: str) -> AbstractContextManager[Program]:
    given = {"airflow_url": airflow.url, "airflow_password_file": str(airflow.password_file)}
    return exporter(home, **given | settings)


def state_of(program: Program, metric: str, *labels: str) -> list[str]:
    """The states that hold; labels are in the order of their names, without the state."""
    series = scrape(program).get(metric, {})
    return [each[2] for each, value in series.items() if value and (*each[:2], *each[3:]) == labels]


def test_health_and_the_dags_that_are_ours(program: Program) -> None:
    found = scrape(program)
    assert found["relay_exporter_source_up"]["airflow",] == 1
    assert found["relay_airflow_component_healthy"] == {
        ("dag_processor",): 1,
        ("metadatabase",): 1,
        ("scheduler",): 1,
    }
    now = time.time()
    beats = found["relay_airflow_heartbeat_timestamp_seconds"]
    assert beats.keys() == {("dag_processor",), ("scheduler",)}
    assert all(now - 60 < beat < now + 1 for beat in beats.values())
    assert found["relay_airflow_import_errors"] == {(): 1}
    assert found["relay_dag_paused"] == {(INGEST, "toy"): 0, (TRAIN, "toy"): 1}


def test_a_dag_that_never_ran_has_no_last_run(program: Program) -> None:
    found = scrape(program)
    assert found["relay_dag_runs"][TRAIN, "toy", "running"] == 0
    for name, series in found.items():
        if name.startswith(("relay_dag_last", "relay_task")):
            assert not [labels for labels in series if TRAIN in labels]


def test_runs_and_tasks_as_they_begin_fail_and_succeed(
    airflow: Airflow, program: Program, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    begun = time.time()
    airflow.trigger(good, code=0)

    def run() -> list[str]:
        return state_of(program, "relay_dag_last_run_state", INGEST, "toy")

    def tasks() -> list[list[str]]:
        names = ("first", "second")
        return [state_of(program, "relay_task_last_state", INGEST, "toy", name) for name in names]

    wait_for(lambda: tasks() == [["running"], ["no_status"]], "the first task to run")
    assert run() == ["running"]
    assert program.metric("relay_dag_runs", dag=INGEST, state="running") == 1
    before = program.metric("relay_dag_last_run_duration_seconds", dag=INGEST)
    wait_for(
        lambda: program.metric("relay_dag_last_run_duration_seconds", dag=INGEST) > before,
        "the run to take longer",
    )
    assert program.metric("relay_task_last_duration_seconds", task="first") > 0
    assert not shown(program, "relay_dag_last_success")

    good.touch()
    wait_for(lambda: run() == ["success"], "the run to end")
    assert tasks() == [["success"], ["success"]]
    succeeded = program.metric("relay_dag_last_success_timestamp_seconds", dag=INGEST)
    assert succeeded > program.metric("relay_dag_last_run_start_timestamp_seconds") > begun

    airflow.trigger(bad, code=1)
    wait_for(lambda: tasks() == [["running"], ["no_status"]], "the second run")
    bad.touch()
    wait_for(lambda: run() == ["failed"], "it to fail")
    assert tasks() == [["failed"], ["upstream_failed"]]
    assert program.metric("relay_dag_runs", dag=INGEST, state="running") == 0
    assert program.metric("relay_dag_last_success_timestamp_seconds", dag=INGEST) == succeeded


def test_a_wrong_password_is_away_and_the_right_one_helps_at_once(
    start: Start, airflow: Airflow, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("quite wrong")
    program = start(looking_at(airflow, tmp_path, airflow_password_file=str(file)))
    assert up(program, "airflow") == 0
    assert not shown(program, "relay_airflow", "relay_dag", "relay_task")
    said = program.output.read_text()
    assert "Airflow refuses the login 'admin': see RELAY_AIRFLOW_USER and RELAY_AIRF" in said
    assert "quite wrong" not in said
    file.write_text(airflow.password_file.read_text())
    wait_for(lambda: up(program, "airflow") == 1, "the right password to be read")


@pytest.mark.parametrize("file", ["", "/nowhere/password"])
def test_without_a_password_it_says_which_setting(
    start: Start, airflow: Airflow, tmp_path: Path, file: str
) -> None:
    settings = {"airflow_password_file": file} if file else {}
    program = start(exporter(tmp_path, airflow_url=airflow.url, **settings))
    assert up(program, "airflow") == 0
    assert f"RELAY_AIRFLOW_PASSWORD_FILE{': [Errno 2]' if file else ''}" in (
        program.output.read_text()
    )


def test_a_token_that_airflow_does_not_know_any_more_is_renewed(airflow: Airflow) -> None:
    api = AirflowApi(airflow.url, credentials.ADMIN, airflow.password_file, 10)
    assert [*AirflowSource(api).read()]
    known = api.rest.http.headers["authorization"]
    api.rest.http.headers["authorization"] = known[:-2]
    assert [*AirflowSource(api).read()]


def test_lists_that_come_in_pages_are_whole(
    airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.exporter.airflow_api.PAGE", 1)
    api = AirflowApi(airflow.url, credentials.ADMIN, airflow.password_file, 10)
    dags = [dag.dag_id for dag in api.dags()]
    assert sorted(dags) == ["somebody_elses", INGEST, TRAIN]


NO_ANSWERS = [
    ("/api/v2/monitor/health", 500, b"{}"),
    ("/api/v2/monitor/health", 200, b"<html>a proxy's page</html>"),
    ("/api/v2/dags?", 403, b"not for you"),
    ("/dagRuns", 200, b'{"dag_runs": 5}'),
]


def test_answers_that_are_none_are_away_with_the_reason_and_back_when_they_are_well(
    start: Start, airflow: Airflow, tmp_path: Path
) -> None:
    with bad_network(airflow.url) as network:
        program = start(looking_at(airflow, tmp_path, airflow_url=network.url))
        for path, status, body in NO_ANSWERS:
            wait_for(lambda: up(program, "airflow") == 1, "Airflow to be well")
            assert shown(program, "relay_airflow", "relay_dag")
            network.spoil = spoiling(path, status, body)
            wait_for(lambda: up(program, "airflow") == 0, f"Airflow to be away: {path} {status}")
            assert not shown(program, "relay_airflow", "relay_dag", "relay_task")
            network.spoil = None
    said = program.output.read_text()
    assert said.count("airflow is away: /api/v2/") == len(NO_ANSWERS)
    assert "Traceback" not in said


def spoiling(path: str, status: int, body: bytes) -> Spoil:
    return lambda asked, was, content: (status, body) if path in asked else (was, content)


def test_what_follows_a_task_is_told_by_its_time(airflow: Airflow, tmp_path: Path) -> None:
    """The run that the task belongs to began before the task ended; the next one after it."""
    done = tmp_path / "done"
    done.touch()
    run = airflow.trigger(done, 0)
    ended = airflow.person.await_run(INGEST, run)["first"]["end_date"]
    assert airflow.person.begun_since(INGEST, ended) == []
    later = airflow.trigger(done, 0)
    airflow.person.await_run(INGEST, later)
    begun = airflow.person.begun_since(INGEST, ended)
    assert [each["dag_run_id"] for each in begun] == [later]
