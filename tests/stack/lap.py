"""A running stack in, one lap out: the world changes, the monitor asks, a new champion serves.

Driven and watched by public APIs alone; the one thing that nobody offers by network is to land a
batch, which is a file.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines import batches, models
from tests.outside import MODEL, Outside
from tests.programs import wait_for
from tests.stack.drift import planted, replay, traffic
from tests.stack.stack import Stack

PATIENCE = 900  # seconds for what takes a minute on a quiet machine
MARK = "-planted"  # on the name of a batch whose world has changed
FAR = "2013-05"  # the simulator is months away from it
LANDING = f"/var/lib/relay/landing/{MODEL}"


@dataclass
class Lap:
    """Who was champion, who is, the run that made it, and the seconds that each part took."""

    before: str = ""
    after: str = ""
    training: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - begun


def change_the_world(stack: Stack, outside: Outside, folder: Path) -> pd.DataFrame:
    """Land and ingest a month in which the world has changed; give its rows.

    It is the newest month of the data, so that trainings and the gate look at it.
    """
    model, name = models.load(MODEL), _next_batch(stack)
    rows = planted(model.feed.read_batch(name.removesuffix(MARK)))
    file = folder / f"{name}{batches.SUFFIX}"
    batches.write(rows[list(model.policy.data.columns)], file)
    part, whole = f"{LANDING}/.{file.name}.part", f"{LANDING}/{file.name}"
    stack.compose("cp", str(file), f"airflow-scheduler:{part}")
    stack.compose("exec", "-T", "airflow-scheduler", "mv", part, whole)
    run = outside.airflow.trigger(f"{MODEL}_ingest", {"batch": name})
    succeeded(outside, f"{MODEL}_ingest", run)
    return rows


def _next_batch(stack: Stack) -> str:
    """Name the first month that is far from the simulator's and has not been changed yet."""
    landed = stack.compose("exec", "-T", "airflow-scheduler", "ls", LANDING)
    names = (f"{month}{MARK}" for month in models.load(MODEL).feed.batch_names() if month > FAR)
    return next(name for name in names if name not in landed)


def first_champion_again(stack: Stack, outside: Outside) -> str:
    """Roll back until the first champion, who knows no changed world, serves; give its number."""
    while outside.version(champion := outside.aliases()["champion"])["tags"]["relay.predecessor"]:
        stack.compose("run", "--rm", "--no-deps", "relay", "rollback", MODEL)
    outside.await_served(champion)
    return champion


def turn(stack: Stack, outside: Outside, month: pd.DataFrame) -> Lap:
    """Live through the changed month's end: traffic, labels, the monitor's verdict, a champion."""
    lap = Lap(first_champion_again(stack, outside))
    known = {run["dag_run_id"] for run in outside.airflow.runs(f"{MODEL}_train")}
    with lap.part("traffic and labels"):
        rows = traffic(month)
        assert replay(outside, rows) == len(rows)
    with lap.part("monitor, until it asks"):
        outside.airflow.trigger(f"{MODEL}_monitor")  # a scheduled one may come first
        lap.training = wait_for(lambda: asked_for(outside, known), "a retraining", PATIENCE)
    with lap.part("train, register, evaluate, promote"):
        succeeded(outside, f"{MODEL}_train", lap.training)
    with lap.part("swap"):
        lap.after = outside.aliases()["champion"]
        outside.await_served(lap.after)
    return lap


def asked_for(outside: Outside, known: set[str]) -> str:
    """Give the new training that the monitor's verdict has started; empty if there is none."""
    dag = f"{MODEL}_train"
    new = [r["dag_run_id"] for r in outside.airflow.runs(dag) if r["dag_run_id"] not in known]
    return next((run for run in new if retrain_events(outside, run)), "")


def retrain_events(outside: Outside, run: str) -> list[dict[str, Any]]:
    """Give what the monitor said when it asked for a training."""
    events = outside.airflow.events(f"{MODEL}_train", run)
    return [event for event in events if event["name"] == f"{MODEL}_retrain"]


def succeeded(outside: Outside, dag: str, run: str) -> None:
    """Wait for a run's end, which must be a good one."""
    for task, state in outside.airflow.await_run(dag, run, seconds=PATIENCE).items():
        log = state["state"] == "success" or outside.airflow.log(dag, run, task)[-3000:]
        assert state["state"] == "success", f"{dag}.{task} is {state['state']}: {log}"
