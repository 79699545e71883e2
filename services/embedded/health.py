"""Programs and their supervisor in; the moment when each is well out, or why it will not be."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx

from services.embedded.preflight import PlatformError
from services.embedded.programs import Program
from services.embedded.settings import Embedded
from services.embedded.supervision import Supervisor

PATIENCE = 240.0  # seconds for all to become well; 25 to 60 are usual
TRIES = 2  # one that has ended so often before it was ever well will not become so
POLL = 0.25
Progress = Callable[[str, float], None]  # a program that has become well, seconds since the start


def await_all(
    settings: Embedded, supervisor: Supervisor, programs: Iterable[Program], progress: Progress
) -> None:
    """Return when every program is well; raise `PlatformError` when one cannot become so."""
    begun = time.monotonic()
    pending = list(programs)
    with httpx.Client(timeout=30.0, trust_env=False) as client:
        watch = Watch(settings, supervisor, client)
        while pending:
            waited = time.monotonic() - begun
            if waited > PATIENCE:
                names = ", ".join(program.name for program in pending)
                raise PlatformError(
                    f"not well after {PATIENCE:.0f} s: {names}; their logs are in {supervisor.logs}"
                )
            for program in watch.newly_well(pending):
                pending.remove(program)
                progress(program.name, time.monotonic() - begun)
                for other in pending:
                    if other.after == program.name:
                        supervisor.begin(other.name)
            time.sleep(POLL)


@dataclass
class Watch:
    """What has been seen of a platform that is starting."""

    settings: Embedded
    supervisor: Supervisor
    client: httpx.Client
    lives: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def newly_well(self, pending: Iterable[Program]) -> list[Program]:
        """Give those of the pending programs that are well now."""
        if not self.supervisor.answers():
            if not self.supervisor.alive():
                said = self.supervisor.last_words("supervisord")
                raise PlatformError(f"supervisord ended:\n{said}")
            return []
        return [program for program in pending if self.well(program)]

    def well(self, program: Program) -> bool:
        """Say whether a program is well: its health check says so, or it has ended well."""
        state = self.supervisor.state(program.name)
        if state["pid"]:
            self.lives[program.name].add(state["pid"])
        if self.hopeless(program, state):
            log = self.supervisor.logs / f"{program.name}.log"
            raise PlatformError(
                f"{program.name} does not start ({state['spawnerr'] or state['description']}). "
                f"The end of {log}:\n{self.supervisor.last_words(program.name)}"
            )
        if program.once:
            return bool(state["statename"] == "EXITED")
        return state["statename"] == "RUNNING" and self.says_so(program)

    def hopeless(self, program: Program, state: dict[str, Any]) -> bool:
        """Say whether waiting longer is in vain."""
        if program.once and state["statename"] == "EXITED":
            return bool(state["exitstatus"] != 0)
        return state["statename"] == "FATAL" or len(self.lives[program.name]) > TRIES

    def says_so(self, program: Program) -> bool:
        """Ask a program's health address."""
        url = self.settings.url(program.listens_as or program.asked_at) + program.health
        try:
            answer = self.client.get(url)
        except httpx.TransportError:  # it does not listen yet
            return False
        if answer.status_code != httpx.codes.OK:
            return False
        return not program.part or answer.json()[program.part]["status"] == "healthy"
