"""``make bench``: a lap on a fresh home in, where its time went out: on screen and as JSON.

Nothing is asserted: what a machine takes is for a person to judge. The steps' own seconds are those
that they report themselves; the rest of a DAG run is orchestration: Airflow's queue and schedule,
and starting each task.
"""

import argparse
import json
import os
import platform as machine
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from pipelines import models
from services.embedded.airflow_api import AirflowApi
from services.embedded.demo import Teller
from services.embedded.lap import DAGS, Lap
from services.embedded.platform import start
from services.embedded.settings import HOST, ROOT, Embedded

Stages = list[tuple[str, float]]


@dataclass(frozen=True)
class Install:
    """What ``make install`` took, and of what kind it was."""

    seconds: float
    kind: str


@dataclass(frozen=True)
class DagRun:
    """One DAG run: seconds from queued to end, and those in which its steps worked.

    A skipped step reports nothing, so that it counts with what its task took: ``estimated``.
    """

    dag: str
    trigger: str
    queued: str
    wall: float
    steps: float
    estimated: bool

    @property
    def overhead(self) -> float:
        """Seconds in which no step worked."""
        return self.wall - self.steps


@dataclass(frozen=True)
class Bench:
    """Where the time of one lap went, in seconds."""

    install: Install
    programs: Stages
    stages: Stages
    runs: list[DagRun]
    seconds: float

    def overhead_ratio(self) -> float:
        """Give the share of the DAG runs' time that is orchestration."""
        return sum(run.overhead for run in self.runs) / sum(run.wall for run in self.runs)

    def train_to_serving(self) -> float:
        """Give what passes from a monitor's verdict to the first answer of the new version."""
        names = [name for name, _ in self.stages]
        at = next(i for i, name in enumerate(names) if name.startswith("retrain"))
        return sum(seconds for _, seconds in self.stages[at : at + 2])


def main() -> int:
    """Measure, show, and write ``<RELAY_HOME>/bench/lap.json``."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--cold", action="store_true", help="also install into a fresh clone with an empty cache"
    )
    parser.add_argument("--model", required=True, choices=models.names(), help="whose lap")
    given = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 130)
    install = cold_install() if given.cold else warm_install()
    bench = lap(given.model, install, console)
    show(bench, console)
    written = write(bench, Embedded().home / "bench/lap.json")
    console.print(f"written to {written}")
    return 0


def warm_install() -> Install:
    """Time ``make install`` here, where most often nothing has changed."""
    begun = time.monotonic()
    done = subprocess.run(
        ["make", "install"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    kind = "what had changed" if "installing" in done.stdout else "nothing had changed"
    return Install(time.monotonic() - begun, kind)


def cold_install() -> Install:
    """Time ``make install`` in a fresh clone of what is committed, uv's cache being empty."""
    with TemporaryDirectory(prefix="relay-cold-") as folder:
        clone = Path(folder) / "relay"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        begun = time.monotonic()
        environment = {**os.environ, "UV_CACHE_DIR": f"{folder}/cache"}
        subprocess.run(["make", "install"], cwd=clone, env=environment, check=True)
        return Install(time.monotonic() - begun, "fresh clone, empty cache")


def lap(model: str, install: Install, console: Console) -> Bench:
    """Run the platform and one lap of a model on a home that is thrown away."""
    programs: Stages = []
    begun = time.monotonic()
    with TemporaryDirectory(prefix="relay-bench-") as home:
        settings = Embedded.model_validate({"home": home, **free_ports()})
        with start(settings, lambda name, seconds: programs.append((name, seconds))) as platform:
            (at,) = (each for each in platform.addresses() if each.name == "airflow")
            airflow = AirflowApi(at.url, at.login, at.password)
            batches = models.load(model).feed.batch_names()
            one = Lap(platform, airflow, model, batches, Teller(console))
            one.run()
            seconds = time.monotonic() - begun
            runs = [run for dag in DAGS for run in dag_runs(airflow, f"{model}_{dag}")]
    runs.sort(key=lambda run: run.queued)
    return Bench(install, programs, one.record.stages, runs, seconds)


def dag_runs(airflow: AirflowApi, dag: str) -> list[DagRun]:
    """Read what Airflow and the steps say of each ended run of a DAG."""
    found = []
    for run in airflow.runs(dag):
        if run["end_date"]:
            tasks = airflow.tasks(dag, run["dag_run_id"]).values()
            steps = [own_seconds(airflow, task) for task in tasks]
            wall = moment(run["end_date"]) - moment(run["queued_at"])
            estimated = any(task["state"] != "success" for task in tasks)
            trigger, queued = run["run_type"], run["queued_at"]
            found.append(DagRun(dag, trigger, queued, wall, sum(steps), estimated))
    return found


def own_seconds(airflow: AirflowApi, task: dict[str, Any]) -> float:
    """Give the seconds that a step worked: its own report, else what its task took."""
    if task["state"] == "success":
        told = airflow.result(task["dag_id"], task["dag_run_id"], task["task_id"])
        return float(told["seconds"])
    return float(task["duration"] or 0.0)  # none: skipped because of one before it


def moment(text: str) -> float:
    """Read Airflow's time, in seconds."""
    return datetime.fromisoformat(text).timestamp()


def show(bench: Bench, console: Console) -> None:
    """Lay the figures out, and the sums that matter below them."""
    console.print(f"\ninstall ({bench.install.kind}): {bench.install.seconds:.1f} s")
    console.print(seconds_table("program is well", bench.programs))
    console.print(seconds_table("stage", bench.stages))
    console.print(runs_table(bench.runs))
    console.print(
        f"first lap, from the start of the platform: {bench.seconds:.0f} s\n"
        f"train to serving, from the monitor's verdict: {bench.train_to_serving():.0f} s\n"
        f"orchestration: {bench.overhead_ratio():.0%} of the DAG runs' time"
    )


def seconds_table(what: str, rows: Iterable[tuple[str, float]]) -> Table:
    """Lay out a name and its seconds a row."""
    table = Table(what, "s")
    for name, seconds in rows:
        table.add_row(name, f"{seconds:.1f}")
    return table


def runs_table(runs: Iterable[DagRun]) -> Table:
    """Lay out a DAG run a row."""
    table = Table("DAG run", "started by", "queued to end", "its steps", "orchestration")
    for run in runs:
        steps = f"{'~' if run.estimated else ''}{run.steps:.1f}"
        share = f"{run.overhead:.1f} ({run.overhead / run.wall:.0%})"
        table.add_row(run.dag, run.trigger, f"{run.wall:.1f}", steps, share)
    return table


def write(bench: Bench, path: Path) -> Path:
    """Write the figures with the machine that they are true of."""
    about = {"cpus": os.cpu_count(), "python": machine.python_version(), "os": machine.platform()}
    sums = {
        "train_to_serving": bench.train_to_serving(),
        "overhead_ratio": bench.overhead_ratio(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": about, **asdict(bench), **sums}, indent=2) + "\n")
    return path


def free_ports() -> dict[str, int]:
    """Give a free port for each field of the settings that is one."""
    names = [name for name in Embedded.model_fields if name.endswith("_port")]
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server((HOST, 0))) for _ in names]
        return {name: probe.getsockname()[1] for name, probe in zip(names, probes, strict=True)}


if __name__ == "__main__":
    sys.exit(main())
