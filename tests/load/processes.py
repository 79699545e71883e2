"""Servers on one core, who asks them on another; what a server used of CPU and memory out."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from tests.programs import ROOT

PATIENCE = 120.0  # seconds for a server to come up
LAST_LINES = 20


class BenchError(Exception):
    """What keeps a measurement from being made, and the way out."""


@dataclass(frozen=True)
class Cores:
    """Which core serves, and which asks."""

    server: int
    client: int


def two_cores() -> Cores:
    """Take the first and the last core that we may use. Raises BenchError where it is one."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchError(
            "there is one core, want two: one for the server and one for the client, "
            "or they would take each other's time"
        )
    return Cores(cores[0], cores[-1])


def busy_seconds(core: int) -> float:
    """Give what a core has worked since the machine started, for whomever, or was not ours to use.

    Interrupts are left out: most of them are the load's own.
    """
    times = psutil.cpu_times(percpu=True)[core]
    return times.user + times.nice + times.system + times.steal


def give_way(pid: int) -> None:
    """Let a process and its children run only when nobody else wants their core.

    https://man7.org/linux/man-pages/man7/sched.7.html (SCHED_IDLE)
    """
    root = psutil.Process(pid)
    for process in (root, *root.children(recursive=True)):
        for thread in process.threads():
            os.sched_setscheduler(thread.id, os.SCHED_IDLE, os.sched_param(0))


@dataclass(frozen=True)
class Server:
    """A running server with all of its children."""

    root: psutil.Process
    url: str

    def cpu_seconds(self) -> float:
        """Give what it has used since its start, user and system, children that ended included.

        From /proc/<pid>/stat: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
        """
        return self._sum(lambda process: sum(process.cpu_times()[:4]))

    def memory_mb(self) -> float:
        """Give its memory in 10^6 bytes: PSS, where what is shared counts by its part."""
        return self._sum(lambda process: process.memory_full_info().pss) / 1e6

    def family(self) -> list[psutil.Process]:
        """Give all of its processes."""
        return [self.root, *self.root.children(recursive=True)]

    def _sum(self, figure: Callable[[psutil.Process], float]) -> float:
        total = 0.0
        for process in self.family():
            with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                total += figure(process)
        return total


@contextmanager
def running(
    command: Sequence[str],
    env: Mapping[str, str],
    url: str,
    health: Sequence[str],
    core: int,
    log: Path,
    cwd: Path = ROOT,
) -> Iterator[Server]:
    """Start a server on a core and wait until each health address answers 200; end it afterwards.

    Raises BenchError, with the end of its log, where it does not come up.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "--cpu-list", str(core), *command],
            cwd=cwd,
            env={**os.environ, "OMP_NUM_THREADS": "1", **env},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(psutil.Process(process.pid), url)
    try:
        for path in health:
            _wait(process, url + path, log)
        yield server
    finally:
        _end(server)
        with suppress(ProcessLookupError):  # what it left behind
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        with suppress(httpx.TransportError):
            if httpx.get(address, timeout=5, trust_env=False).status_code == httpx.codes.OK:
                return
        ended = process.poll() is not None
        if ended or time.monotonic() > deadline:
            how = f"ended with {process.returncode}" if ended else f"not up after {PATIENCE:.0f} s"
            lines = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
            raise BenchError("\n".join([f"{how}. The end of its log:", *lines]))
        time.sleep(0.1)


def _end(server: Server) -> None:
    """End all of it; what does not end in time is killed."""
    with suppress(psutil.NoSuchProcess):
        family = server.family()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, alive = psutil.wait_procs(family, timeout=10)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
