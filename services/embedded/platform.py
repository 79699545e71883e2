"""Settings in; the whole platform, running and well, out; leaving the block ends all of it."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from services.embedded import (
    binaries,
    configuration,
    credentials,
    hook,
    preflight,
    programs,
    strays,
)
from services.embedded.environment import shared
from services.embedded.health import Progress, await_all
from services.embedded.holding import held
from services.embedded.programs import Program
from services.embedded.settings import SERVED, Embedded
from services.embedded.supervision import Supervisor

STOPPING = 60.0  # seconds that an orderly end may take before it is made


@dataclass(frozen=True)
class Address:
    """Where a person or a program finds a part of the platform."""

    name: str
    url: str
    login: str = ""
    password: str = ""


@dataclass(frozen=True)
class Platform:
    """A running platform. ``without`` says which programs are missing, and why."""

    settings: Embedded
    supervisor: Supervisor
    programs: tuple[Program, ...]
    without: Mapping[str, str]

    def addresses(self) -> list[Address]:
        """Give each address with its login, where it has one."""
        return addresses(self.settings, [program.listens_as for program in self.programs])

    def simulate(self, arguments: Sequence[str] = (), **environment: str) -> None:
        """Start the simulator, a running one first being ended."""
        self.supervisor.replace(programs.simulator(list(arguments), environment))

    def state(self, name: str) -> dict[str, Any]:
        """Give a program's state as supervisord tells it: ``statename``, ``pid``, ..."""
        return self.supervisor.state(name)


@contextmanager
def start(
    settings: Embedded,
    progress: Progress = lambda name, seconds: None,
    leave_out: Mapping[str, str] | None = None,
) -> Iterator[Platform]:
    """Run the platform while the block runs; call it from the main thread.

    ``leave_out`` names programs not to be started, each with the reason. Whatever ends us, nothing
    is left behind: leaving the block ends all in order, and if we are killed the kernel tells the
    supervisor. Raises `PlatformError` where it cannot start, in words that say the way out.
    """
    home = settings.home
    (home / "run").mkdir(parents=True, exist_ok=True)
    with held(home):
        strays.end(home, STOPPING)
        chosen, without = choose(settings, leave_out or {})
        preflight.check(settings, chosen)
        prepare(settings, {program.listens_as for program in chosen})
        supervisor = Supervisor(home)
        try:
            supervisor.start(chosen, shared(settings, os.environ))
            await_all(settings, supervisor, chosen, progress)
            if {"mlflow", "serving"} <= {program.name for program in chosen}:
                hook.hang(settings, home / "secrets" / credentials.REGISTRY_EVENTS)
            yield Platform(settings, supervisor, tuple(chosen), without)
        finally:
            supervisor.stop(STOPPING)
            strays.end(home, STOPPING)


def choose(
    settings: Embedded, leave_out: Mapping[str, str]
) -> tuple[list[Program], dict[str, str]]:
    """Give the programs to start, and those that are missing with the reason."""
    found = {name: binaries.find(name) for name in binaries.NAMES}
    without = {name: binaries.missing(name) for name, path in found.items() if path is None}
    without |= leave_out
    every = programs.programs(settings, {name: path for name, path in found.items() if path})
    return [program for program in every if program.name not in without], without


def prepare(settings: Embedded, served: Collection[str]) -> None:
    """Make what programs expect to find: folders, secrets, configuration."""
    ours = ("checks", "landing", "prediction-log")
    for folder in ("mlflow", "airflow", "evidently", "tensorboard", *ours):
        (settings.home / folder).mkdir(exist_ok=True)
    credentials.keep(settings.home / "secrets")
    configuration.lay(settings, served)


def addresses(settings: Embedded, served: Collection[str]) -> list[Address]:
    """Give the addresses of what is served (``"airflow"``, ``"mlflow"``, ...), with logins."""
    secrets = settings.home / "secrets"
    return [
        Address(name, settings.url(name), *credentials.login(name, secrets))
        for name in SERVED
        if name in served
    ]
