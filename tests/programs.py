"""Real programs for tests: a command in, a running process that answers its health check out."""

import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parent.parent
_T = TypeVar("_T")


def _own_ports() -> list[int]:
    """The ports of this test process, in any order; another one beside it has others."""
    beside = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    place = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = range(20_000 + place, 32_000, beside)
    return random.sample(ports, len(ports))


_ports = itertools.cycle(_own_ports())


def free_port() -> int:
    """A port that no other test gets, and no client by chance: those come from above 32,767."""
    for port in _ports:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("unreachable: the ports go round")


def wait_for(condition: Callable[[], _T], what: str, seconds: float = 60) -> _T:
    """Wait until the condition gives something true, and give that."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.02)
    return value


@dataclass
class Program:
    """A process that a test started, and where it answers."""

    url: str
    process: subprocess.Popen[bytes]
    output: Path

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=10)

    def answers(self, path: str) -> bool:
        assert self.process.poll() is None, f"ended early:\n{self.output.read_text()[-4000:]}"
        try:
            return self.get(path).status_code == 200
        except httpx.TransportError:
            return False

    def metric(self, name: str, **labels: str) -> float:
        """One sample from /metrics; 0.0 where there is none, as of a counter not counted yet."""
        for family in text_string_to_metric_families(self.get("/metrics").text):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return sample.value
        return 0.0

    def kill(self) -> None:
        """As `kill -9` does, with its children."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """Ask it to stop, and give its exit status."""
        self.process.terminate()
        return self.process.wait(timeout=30)


@contextmanager
def running(
    command: list[str], env: Mapping[str, str], url: str, health: str, output: Path
) -> Iterator[Program]:
    """Start a program in a process group of its own; leave none of it behind."""
    with output.open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **env},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    program = Program(url, process, output)
    try:
        wait_for(lambda: program.answers(health), f"{command} at {url}{health}")
        yield program
    finally:
        if process.poll() is None:
            program.kill()


@contextmanager
def mlflow_server(
    home: Path, port: int | None = None, artifact_root: Path | None = None, **settings: str
) -> Iterator[Program]:
    """MLflow's tracking server and registry: SQLite and proxied artifacts under `home`.

    With an `artifact_root` artifacts are not proxied; `settings` are further MLFLOW_ variables.
    """
    port = port or free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{home}/mlflow.db"]
    if artifact_root:
        command += ["--no-serve-artifacts", "--default-artifact-root", str(artifact_root)]
    else:
        command += ["--artifacts-destination", str(home / "artifacts")]
    env = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    env |= {f"MLFLOW_{name.upper()}": value for name, value in settings.items()}
    url = f"http://127.0.0.1:{port}"
    with running(command, env, url, "/health", home / "mlflow.log") as program:
        yield program


@contextmanager
def serving(
    home: Path, mlflow_url: str, file_limit_kib: int | None = None, **settings: str
) -> Iterator[Program]:
    """The serving process; `settings` are its variables without the prefix, in any case.

    No file that it writes may grow beyond `file_limit_kib`: a disk that is full.
    """
    port = settings.pop("serving_port", str(free_port()))
    env = {
        "RELAY_HOME": str(home),
        "RELAY_MLFLOW_URL": mlflow_url,
        "RELAY_SERVING_PORT": port,
        "RELAY_SERVING_GRPC_PORT": "0",
        "RELAY_SERVING_POLL_SECONDS": "0.2",
        **{f"RELAY_{name.upper()}": value for name, value in settings.items()},
    }
    command = [sys.executable, "-m", "services.serving"]
    if file_limit_kib:
        command = ["prlimit", f"--fsize={file_limit_kib * 1024}", *command]
    url = f"http://127.0.0.1:{port}"
    with running(command, env, url, "/live", home / "serving.log") as program:
        yield program
