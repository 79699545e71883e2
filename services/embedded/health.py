"""Programs and their supervisor in; the moment when each is well out, or why it will not be."""

import time
from collections.abc import Callable, Iterable

import httpx

from services.embedded.preflight import PlatformError
from services.embedded.programs import Program
from services.embedded.settings import Embedded
from services.embedded.supervision import Supervisor

PATIENCE = 240.0  # seconds for all to become well; 25 to 60 are usual
POLL = 0.25
Progress = Callable[[str, float], None]  # a program that has become well, seconds since the start


def await_all(
    settings: Embedded, supervisor: Supervisor, programs: Iterable[Program], progress: Progress
) -> None:
    """Return when every program is well; raise `PlatformError` when one cannot become so."""
    begun = time.monotonic()
    pending = list(programs)
    with httpx.Client(timeout=30.0, trust_env=False) as client:
        while pending:
            waited = time.monotonic() - begun
            if waited > PATIENCE:
                names = ", ".join(program.name for program in pending)
                raise PlatformError(f"not well after {PATIENCE:.0f} s: {names}; see their logs")
            for program in newly_well(settings, supervisor, pending, client):
                pending.remove(program)
                progress(program.name, time.monotonic() - begun)
                _begin(supervisor, [other for other in pending if other.after == program.name])
            time.sleep(POLL)


def newly_well(
    settings: Embedded, supervisor: Supervisor, pending: list[Program], client: httpx.Client
) -> list[Program]:
    """Give those of the pending programs that are well now."""
    if not supervisor.answers():
        if not supervisor.alive():
            raise PlatformError(f"supervisord ended:\n{supervisor.last_words('supervisord')}")
        return []
    return [program for program in pending if well(settings, supervisor, program, client)]


def well(
    settings: Embedded, supervisor: Supervisor, program: Program, client: httpx.Client
) -> bool:
    """Say whether a program is well: it runs and its health check says so, or it ended well."""
    state = supervisor.state(program.name)
    failed = state["statename"] == "EXITED" and state["exitstatus"] != 0 and program.once
    if failed or state["statename"] == "FATAL":
        raise PlatformError(
            f"{program.name} does not start ({state['spawnerr'] or state['description']}). The end "
            f"of {supervisor.logs / program.name}.log:\n{supervisor.last_words(program.name)}"
        )
    if program.once:
        return bool(state["statename"] == "EXITED")
    return state["statename"] == "RUNNING" and says_so(settings, program, client)


def says_so(settings: Embedded, program: Program, client: httpx.Client) -> bool:
    """Ask a program's health address."""
    try:
        url = settings.url(program.listens_as or program.asked_at) + program.health
        answer = client.get(url)
    except httpx.TransportError:  # it does not listen yet
        return False
    if answer.status_code != httpx.codes.OK:
        return False
    return not program.part or answer.json()[program.part]["status"] == "healthy"


def _begin(supervisor: Supervisor, programs: Iterable[Program]) -> None:
    for program in programs:
        supervisor.begin(program.name)
