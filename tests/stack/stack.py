"""A compose project in; what a person and a test do with it out: up, down, ask, look inside."""

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx

ROOT = Path(__file__).parents[2]
PORTS = (
    "airflow",
    "mlflow",
    "serving",
    "serving_grpc",
    "evidently",
    "tensorboard",
    "page",
    "prometheus",
    "alertmanager",
    "grafana",
)
IMAGE = "relay-pipelines:0.1.0"
FLIGHT = {"carrier": "UA", "origin": "EWR", "dest": "IAH", "weekday": 1, "hour": 5, "minute": 15}


@dataclass
class Stack:
    """One project; its ports are its own, so that it disturbs no other."""

    project: str
    ports: Mapping[str, int]
    environment: dict[str, str]
    seconds: dict[str, float] = field(default_factory=dict)

    def compose(self, *arguments: str, check: bool = True) -> str:
        """Run ``docker compose`` and give what it says; raise with its last words if it fails."""
        done = subprocess.run(
            ["docker", "compose", "--project-name", self.project, *arguments],
            cwd=ROOT,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"compose {arguments}: {done.stderr[-3000:]}")
        return done.stdout

    def pipe(
        self,
        service: str,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
        check: bool = True,
    ) -> str:
        """Run a service that reads or writes a file; give what it says besides."""
        done = subprocess.run(
            ["docker", "compose", "-p", self.project, "run", "--rm", "-T", "--no-deps", service],
            cwd=ROOT,
            env=self._environment(),
            stdin=stdin or subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            check=check,
        )
        return done.stderr.decode()

    def _environment(self) -> dict[str, str]:
        ports = {f"RELAY_{name.upper()}_PORT": str(port) for name, port in self.ports.items()}
        return self.environment | ports

    def url(self, name: str) -> str:
        """Give the address of a service as a person has it."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def containers(self) -> list[dict[str, Any]]:
        """Give what ``docker inspect`` says of every container, ended ones too."""
        ids = self.compose("ps", "--all", "--quiet").split()
        found: list[dict[str, Any]] = json.loads(docker("inspect", *ids))
        return found

    def all_of(self, service: str) -> list[dict[str, Any]]:
        """Give what ``docker inspect`` says of each of one service's containers."""
        label = "com.docker.compose.service"
        return [each for each in self.containers() if each["Config"]["Labels"][label] == service]

    def container(self, service: str) -> dict[str, Any]:
        """Give what ``docker inspect`` says of one service's only container."""
        (only,) = self.all_of(service)
        return only

    def running(self) -> list[str]:
        """Name the services that run."""
        return self.compose("ps", "--services", "--status", "running").split()

    def states(self) -> dict[str, dict[str, Any]]:
        """Give the state of everything that shall always run, by service; replicas by number."""
        return {
            name_of(each): each["State"]
            for each in self.containers()
            if each["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
        }

    def ill(self) -> list[str]:
        """Name the services that shall run and do not, or are not healthy by their own check."""
        return [name for name, state in self.states().items() if not is_well(state)]

    def secrets(self) -> dict[str, str]:
        """Read every secret that the stack has made, as only root on this machine can."""
        script = "import json, pathlib; print(json.dumps({f.name: f.read_text() for f in "
        script += "pathlib.Path('/secrets/kept').iterdir()}))"
        volume = f"{self.project}_secrets:/secrets:ro"
        run = ["run", "--rm", "--user", "0", "--volume", volume, IMAGE, "python", "-c", script]
        found: dict[str, str] = json.loads(docker(*run))
        return found

    def kill(self, *services: str) -> None:
        """End containers' own processes as the kernel would for want of memory."""
        states = self.states()
        for service in services:
            os.kill(states[service]["Pid"], signal.SIGKILL)

    def kill_container(self, container: dict[str, Any]) -> None:
        """End one container's own process, as `kill` does."""
        os.kill(container["State"]["Pid"], signal.SIGKILL)

    def airflow(self) -> httpx.Client:
        """Give a logged-in client of Airflow's API, that nobody has opened yet."""
        url = self.url("airflow")
        login = {"username": "admin", "password": self.secrets()["airflow-admin"]}
        answer = httpx.post(f"{url}/auth/token", json=login, timeout=30, trust_env=False)
        token = answer.raise_for_status().json()["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=url, headers=bearer, timeout=30, trust_env=False)


def name_of(container: Mapping[str, Any]) -> str:
    """Name a container by its service, and a replica by its number as well."""
    labels = container["Config"]["Labels"]
    number = labels["com.docker.compose.container-number"]
    service: str = labels["com.docker.compose.service"]
    return service if number == "1" else f"{service}-{number}"


def is_well(state: Mapping[str, Any]) -> bool:
    """Say whether a container runs, and is healthy where it has a check."""
    return bool(state["Running"]) and state.get("Health", {}).get("Status") in {None, "healthy"}


def docker(*arguments: str) -> str:
    """Run ``docker`` and give what it says."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


def ask(url: str, request: str) -> httpx.Response:
    """Ask a model about one flight, under an id."""
    return httpx.post(
        f"{url}/invocations?model=flights",
        json={"dataframe_records": [FLIGHT]},
        headers={"x-request-id": request},
        timeout=30,
        trust_env=False,
    )
