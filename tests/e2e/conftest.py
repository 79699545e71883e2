"""One lap by ``make demo ONCE=1``, and the same home started again: what every test here asks.

The platform ends with the last of them: its DAGs shall not run beside other tests.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.embedded import strays
from services.embedded.credentials import airflow_password
from services.embedded.environment import shared
from services.embedded.holding import holder
from services.embedded.settings import ROOT, SERVED, Embedded
from tests.outside import Outside
from tests.programs import free_port, wait_for

PARTS = (*SERVED, "serving_grpc")


@dataclass(frozen=True)
class Demo:
    """A lap that was made: its home, how it ended and what it told."""

    settings: Embedded
    exit_code: int
    told: str

    def stages(self, pattern: str) -> list[tuple[str, ...]]:
        """The groups of each line that tells of a stage's good end."""
        found = (re.search(rf" ok {pattern}", line) for line in self.told.splitlines())
        return [match.groups() for match in found if match]


class Loop(Outside):
    """The platform, up and asked from outside, as another program would ask."""

    def __init__(self, settings: Embedded) -> None:
        super().__init__(settings.url, airflow_password(settings.home / "secrets"))
        self.settings = settings

    def relay(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = shared(self.settings, os.environ)
        command = [environment["RELAY_COMMAND"], *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def supervise(self, order: str, program: str) -> None:
        """Have the supervisor `stop` or `start` a program."""
        socket = f"unix://{self.settings.home}/run/supervisor.sock"
        supervisorctl = str(Path(sys.executable).with_name("supervisorctl"))
        subprocess.run([supervisorctl, "-s", socket, order, program], check=True)


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    """A home and ports of our own."""
    ports = {f"{part}_port": free_port() for part in PARTS}
    return Embedded.model_validate({"home": tmp_path_factory.mktemp("lap"), **ports})


@pytest.fixture(scope="package")
def environment(place: Embedded) -> dict[str, str]:
    ports = {f"RELAY_{part.upper()}_PORT": str(place.port(part)) for part in PARTS}
    makes = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}  # of the make that runs the tests
    kept = {name: value for name, value in os.environ.items() if name not in makes}
    return {**kept, "RELAY_HOME": str(place.home), **ports}


@pytest.fixture(scope="package")
def demo(
    place: Embedded, environment: dict[str, str], request: pytest.FixtureRequest
) -> Iterator[Demo]:
    """The lap, once a session, and nothing of it left but its home; not that, if all is well."""
    command = ["make", "demo", "ONCE=1"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    left = strays.processes_of(place.home)
    assert not left, f"processes left: {left}"
    assert holder(place.home) is None
    yield Demo(place, done.returncode, done.stdout)
    if request.session.testsfailed:
        return  # its logs tell why
    clean = subprocess.run(["make", "clean"], cwd=ROOT, env=environment, check=False)
    assert clean.returncode == 0
    assert not place.home.exists()


@pytest.fixture(scope="package")
def loop(demo: Demo, environment: dict[str, str]) -> Iterator[Loop]:
    """The lap's home, up again; Ctrl-C ends it and leaves nothing running."""
    assert demo.exit_code == 0, demo.told
    home = demo.settings.home
    log = home / "up.log"
    command = [sys.executable, "-m", "services.embedded", "up"]
    with log.open("wb") as out:
        up = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT
        )

    def is_up() -> bool:
        assert up.poll() is None, log.read_text()
        return "Ctrl-C ends it" in log.read_text()

    try:
        wait_for(is_up, "the platform to be up again", seconds=240)
        yield Loop(demo.settings)
    finally:
        up.send_signal(signal.SIGINT)
        ended = up.wait(120)
    assert ended == 0, log.read_text()
    left = strays.processes_of(home)
    assert not left, f"processes left: {left}"
    assert holder(home) is None
