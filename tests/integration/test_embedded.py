"""The real platform on free ports: well, mended, refused, killed, ended without a trace."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from services.embedded import strays
from services.embedded.holding import holder
from services.embedded.platform import Platform, start
from services.embedded.preflight import PlatformError
from services.embedded.settings import ROOT, SERVED, Embedded
from tests.programs import free_port, wait_for

PARTS = (*SERVED, "serving_grpc")

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not (ROOT / ".venv-airflow/bin/airflow").exists(), reason="Airflow is not installed"
    ),
]


def settings_in(home: Path) -> Embedded:
    ports = {f"{part}_port": free_port() for part in PARTS}
    dags = home.parent / "dags"
    dags.mkdir(exist_ok=True)
    return Embedded.model_validate({"home": home, "dags": dags, **ports})


def gone(settings: Embedded) -> bool:
    return not strays.processes_of(settings.home)


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with a short name: a home's sockets have no room for a long one."""
    return tmp_path_factory.mktemp("p")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    return settings_in(tmp_path_factory.mktemp("embedded") / "home")


@pytest.fixture(scope="module")
def platform(settings: Embedded) -> Iterator[Platform]:
    told: list[str] = []
    with start(settings, lambda name, _: told.append(name)) as running:
        assert sorted(told) == sorted(program.name for program in running.programs)
        yield running
    assert strays.processes_of(settings.home) == []
    assert holder(settings.home) is None


def test_airflow_is_well_and_takes_its_login(platform: Platform) -> None:
    (airflow,) = [address for address in platform.addresses() if address.name == "airflow"]
    health = httpx.get(f"{airflow.url}/api/v2/monitor/health").json()
    assert health["scheduler"]["status"] == "healthy"
    assert health["dag_processor"]["status"] == "healthy"
    said = {"username": airflow.login, "password": airflow.password}
    assert httpx.post(f"{airflow.url}/auth/token", json=said).json()["access_token"]
    wrong = httpx.post(f"{airflow.url}/auth/token", json={**said, "password": "admin"})
    assert wrong.status_code == httpx.codes.UNAUTHORIZED


def test_mlflow_keeps_artifacts_for_those_who_have_no_disk_in_common(platform: Platform) -> None:
    url = platform.settings.url("mlflow")
    made = httpx.post(f"{url}/api/2.0/mlflow/experiments/create", json={"name": "kept"}).json()
    found = httpx.get(
        f"{url}/api/2.0/mlflow/experiments/get", params={"experiment_id": made["experiment_id"]}
    ).json()
    assert found["experiment"]["artifact_location"].startswith("mlflow-artifacts:/")


def test_all_listen_on_the_loopback_address_alone(platform: Platform) -> None:
    ours = {process.pid for process in strays.processes_of(platform.settings.home)}
    listening = [
        connection.laddr[:1]
        for connection in psutil.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN and connection.pid in ours
    ]
    assert len(listening) >= len(platform.addresses())
    mapped = ("::ffff:127.0.0.1",)  # how gRPC writes the same address
    assert set(listening) - {mapped} == {("127.0.0.1",)}


def test_no_secret_shows_in_ps_or_in_a_log(platform: Platform) -> None:
    home = platform.settings.home
    secrets = [file.read_text() for file in (home / "secrets").iterdir()]
    secrets += [address.password for address in platform.addresses() if address.password]
    said = [" ".join(process.cmdline()) for process in strays.processes_of(home)]
    said += [log.read_text(errors="replace") for log in (home / "logs").glob("*.log")]
    assert not [secret for secret in secrets for text in said if secret in text]


@pytest.mark.parametrize("name", ["exporter", "mlflow"])
def test_a_killed_program_is_started_again(platform: Platform, name: str) -> None:
    before = platform.state(name)["pid"]
    children = psutil.Process(before).children()
    psutil.Process(before).kill()
    psutil.wait_procs(children, timeout=60)
    assert not [child for child in children if child.is_running()]
    wait_for(lambda: platform.state(name)["pid"] not in (0, before), "a new process")
    path = {"exporter": "/metrics", "mlflow": "/health"}[name]

    def answers() -> bool:
        try:
            return httpx.get(platform.settings.url(name) + path).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    wait_for(answers, f"{name} to answer")


def test_a_second_platform_from_the_same_home_is_refused(platform: Platform) -> None:
    with (
        pytest.raises(PlatformError, match=f"already runs .* process {os.getpid()}"),
        start(platform.settings),
    ):
        pytest.fail("it started")
    wait_for(lambda: platform.state("mlflow")["statename"] == "RUNNING", "MLflow to run on")


def test_a_second_platform_on_the_same_ports_is_refused(platform: Platform, tmp_path: Path) -> None:
    other = platform.settings.model_copy(update={"home": tmp_path / "other"})
    with pytest.raises(PlatformError) as refused, start(other):
        pytest.fail("it started")
    for part in ("AIRFLOW", "MLFLOW", "EVIDENTLY"):
        assert f"RELAY_{part}_PORT" in str(refused.value)
    assert strays.processes_of(other.home) == []


def light(settings: Embedded) -> str:
    """A platform of few programs in a process of its own, as a demo that can be killed."""
    heavy = ["airflow-migrate", "airflow-api-server", "airflow-scheduler"]
    heavy += ["airflow-dag-processor", "evidently", "tensorboard", "mlflow", "serving"]
    return (
        "import signal, sys\n"
        "from services.embedded.platform import start\n"
        "from services.embedded.settings import Embedded\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it\n"
        f"settings = Embedded.model_validate_json({settings.model_dump_json()!r})\n"
        f"with start(settings, leave_out=dict.fromkeys({heavy!r}, 'too heavy')) as platform:\n"
        "    print('up', platform.state('exporter')['pid'], flush=True)\n"
        "    signal.pause()\n"
    )


@pytest.fixture
def killable(folder: Path) -> Iterator[tuple[Embedded, subprocess.Popen[str]]]:
    settings = settings_in(folder / "home")
    command = [sys.executable, "-c", light(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout
        assert demo.stdout.readline().startswith("up")
        yield settings, demo
        demo.kill()
    wait_for(lambda: gone(settings), "nothing to be left")


def test_a_killed_demo_leaves_nothing_behind(
    killable: tuple[Embedded, subprocess.Popen[str]],
) -> None:
    settings, demo = killable
    assert len(strays.processes_of(settings.home)) >= 2
    demo.kill()
    demo.wait()
    wait_for(lambda: gone(settings), "nothing to be left")
    assert holder(settings.home) is None


def test_a_killed_supervisor_takes_its_programs_along(
    killable: tuple[Embedded, subprocess.Popen[str]],
) -> None:
    settings, _ = killable
    running = strays.processes_of(settings.home)
    supervisors = [each for each in running if "supervisord" in " ".join(each.cmdline())]
    for supervisor in supervisors:  # once one is dead, the others are dying
        supervisor.kill()
    wait_for(lambda: gone(settings), "nothing to be left")


def test_down_ends_it_from_another_terminal(
    killable: tuple[Embedded, subprocess.Popen[str]],
) -> None:
    settings, demo = killable
    command = [sys.executable, "-m", "services.embedded", "down"]
    environment = {**os.environ, "RELAY_HOME": str(settings.home)}
    subprocess.run(command, env=environment, check=True)
    assert demo.wait(10) in (-signal.SIGINT, 1, 130)
    assert strays.processes_of(settings.home) == []


def test_what_cannot_start_is_named_with_its_last_words(folder: Path) -> None:
    settings = settings_in(folder / "home")
    heavy = ("airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "evidently")
    others = ("airflow-migrate", "tensorboard", "serving", "exporter")
    leave_out = dict.fromkeys((*heavy, *others), "not asked")
    settings.home.mkdir()
    (settings.home / "mlflow").mkdir()
    (settings.home / "mlflow/mlflow.db").write_text("not a database")
    with pytest.raises(PlatformError) as refused, start(settings, leave_out=leave_out):
        pytest.fail("it started")
    assert "mlflow does not start" in str(refused.value)
    assert "not a database" in str(refused.value)
    assert strays.processes_of(settings.home) == []


def test_a_second_start_goes_on_where_the_first_ended(folder: Path) -> None:
    settings = settings_in(folder / "home")
    names = ("airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "tensorboard")
    leave_out = dict.fromkeys((*names, "airflow-migrate", "evidently", "serving"), "not asked")
    url = f"{settings.url('mlflow')}/api/2.0/mlflow/experiments"
    with start(settings, leave_out=leave_out):
        httpx.post(f"{url}/create", json={"name": "kept"}).raise_for_status()
    with start(settings, leave_out=leave_out):
        kept = httpx.get(f"{url}/get-by-name", params={"experiment_name": "kept"})
    assert kept.status_code == httpx.codes.OK


def test_the_registry_tells_serving_at_once_after_a_second_start_too(folder: Path) -> None:
    settings = settings_in(folder / "home")
    names = ("airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "tensorboard")
    leave_out = dict.fromkeys((*names, "airflow-migrate", "evidently", "exporter"), "not asked")
    url = f"{settings.url('mlflow')}/api/2.0/mlflow/webhooks"
    for _ in range(2):
        with start(settings, leave_out=leave_out):
            (hung,) = httpx.get(url).json()["webhooks"]
            assert hung["url"] == settings.url("serving") + "/v1/registry-events"
            told = httpx.post(f"{url}/{hung['webhook_id']}/test", json={}, timeout=30).json()
            assert told["result"]["response_status"] == httpx.codes.ACCEPTED
