"""A server and bodies in, a run's figures out: wrk in a closed loop, our own client in an open one.

wrk asks again on a connection when it has its answer: it offers no rate. README.md says why the
client of the open loop is our own.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.load.processes import BenchError
from tests.programs import ROOT

SCRIPT = Path(__file__).with_name("post.lua")
PATIENCE = "30s"  # for one answer


def want_wrk() -> None:
    """Raise BenchError where there is no wrk."""
    if shutil.which("wrk") is None:
        raise BenchError(
            "wrk is missing, which makes the load: apt-get install wrk (Debian, Ubuntu), "
            "brew install wrk, or https://github.com/wg/wrk"
        )


def closed_loop(url: str, bodies: Path, seconds: float, connections: int) -> list[str]:
    """Give wrk's command."""
    return [
        *("wrk", "--threads", "1", "--connections", str(connections), "--timeout", PATIENCE),
        *(
            "--duration",
            f"{max(round(seconds), 1)}s",
            "--script",
            str(SCRIPT),
            url,
            "--",
            str(bodies),
        ),
    ]


def open_loop(url: str, bodies: Path, seconds: float, connections: int, rate: float) -> list[str]:
    """Give our own client's command."""
    return [
        *(sys.executable, "-m", "tests.load.open_loop", url, str(bodies), "--rate", str(rate)),
        *("--seconds", str(seconds), "--connections", str(connections)),
    ]


def run(
    command: list[str], core: int, meanwhile: Callable[[], None] | None = None, every: float = 0.5
) -> dict[str, Any]:
    """Run a generator on a core and give its figures; do something again and again meanwhile."""
    process = subprocess.Popen(
        ["taskset", "--cpu-list", str(core), *command],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        while meanwhile is not None and process.poll() is None:
            meanwhile()
            with suppress(subprocess.TimeoutExpired):
                process.wait(every)
        output, _ = process.communicate()
    finally:
        process.kill()
    if process.returncode:
        raise BenchError(f"{command[0]} ended with {process.returncode}:\n{output}")
    return read_figures(output)


def read_figures(output: str) -> dict[str, Any]:
    """Read a generator's last line; only the errors that there were. Raises BenchError."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise BenchError(f"the load's generator gave no figures:\n{output}")
    figures: dict[str, Any] = json.loads(lines[-1])
    figures["errors"] = {kind: count for kind, count in figures["errors"].items() if count}
    return figures
