"""A running platform in, one lap of the loop out: driven from outside, as a person would.

Runs are triggered and watched by Airflow's REST API, traffic comes from the simulator, and what
came out is asked of ``relay status``. Whatever does not do what it should ends the lap.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import httpx

from services.embedded.airflow_api import ENDED, AirflowApi
from services.embedded.environment import shared
from services.embedded.platform import Platform
from services.embedded.record import Record, describe, judgement, read_window

PATIENCE = 300.0  # seconds that any one thing may take; all take a few
T = TypeVar("T")
DAGS = ("ingest", "train", "monitor")
A_DAY, CONNECTIONS = "100", "8"  # of a day's rows, about as many are asked; at once


class LapError(RuntimeError):
    """A stage did not do what it should; the text says what, and what the log says of it."""


class Told(Protocol):
    """Who shows the lap to a person."""

    def begin(self, stage: str) -> None:
        """A stage begins."""

    def hear(self, note: str) -> None:
        """Something happened inside the stage."""

    def end(self, stage: str, seconds: float, outcome: str) -> None:
        """A stage has done what it should."""


class Lap:
    """One lap for one model."""

    def __init__(
        self,
        platform: Platform,
        airflow: AirflowApi,
        model: str,
        batches: Sequence[str],
        told: Told,
        planted: Sequence[str] = (),
    ) -> None:
        self.platform, self.airflow, self.model = platform, airflow, model
        self.batches, self.told = list(batches), told
        self.planted = planted  # what the simulator is told once there is a champion
        self.record = Record()
        self.trained: set[str] = set()
        self.ingested = ""  # when the last batch was in

    def run(self) -> bool:
        """Ingest, train, serve; then month after month, until drift has made a new champion.

        A lap that was cut short goes on from where it was; one that is made is not made again, and
        the answer is False.
        """
        self.dags_are_read()
        state = self.status()
        if any(version["trigger"] == "retrain" for version in state["versions"]):
            return False
        champion = state["champion"] or self.first_champion()
        self.served(champion["version"])
        following = iter(self.batches[self.batches.index(self.newest_batch()) + 1 :])
        while not self.asked(champion):
            batch = next(following, None)
            if batch is None:
                raise LapError(
                    f"nothing has asked for a retrain until {self.newest_batch()}, where the feed "
                    f"ends; `make clean` begins again, and DRIFT=<name> plants one of the model's "
                    f"drifts"
                )
            self.traffic(batch)
            self.ingest(batch)
            self.monitor(batch)
        self.served(self.retrained(champion)["version"])
        if batch := next(following, None):
            self.traffic(batch)
            self.monitor(batch)
        return True

    # The stages -----------------------------------------------------------------------------

    def dags_are_read(self) -> None:
        """Wait until Airflow has read the model's DAGs."""
        dags = [f"{self.model}_{name}" for name in DAGS]
        with self.stage("read the DAGs") as came:
            self.wait_for(lambda: self.knows_all(dags), f"Airflow to read {dags}")
            runs = self.airflow.runs(f"{self.model}_train")
            self.trained = {run["dag_run_id"] for run in runs if run["state"] in ENDED}
            came(", ".join(dags))

    def knows_all(self, dags: Sequence[str]) -> bool:
        """Say whether Airflow knows every DAG; raise if it cannot read one's file."""
        if errors := self.airflow.import_errors():
            raise LapError("Airflow cannot read:\n" + "\n".join(errors))
        return all(map(self.airflow.knows, dags))

    def first_champion(self) -> dict[str, Any]:
        """Bring batches in until the policy has enough to train on, and the gate says yes."""
        for batch in self.batches:
            with self.stage(f"deliver {batch}") as came:
                self.simulate(batch, batch, "--no-requests")
                came(f"a batch in the landing folder ({batch})")
            self.ingest(batch)
            if champion := self.train_on_new_data():
                return champion
        raise LapError("all batches are in, and none has made a champion: see the train DAG's log")

    def ingest(self, batch: str) -> None:
        """Trigger the ingest DAG for a batch."""
        with self.stage(f"ingest {batch}") as came:
            run = self.airflow.trigger(f"{self.model}_ingest", {"batch": batch})
            self.ingested = self.watch("ingest", run)["ingest"]["end_date"]
            dataset = self.status()["dataset"]
            if batch not in dataset["batches"]:
                raise LapError(f"{batch} is not in {dataset['tag']}, although its run succeeded")
            came(f"{dataset['tag']}: {dataset['rows']:,} rows, DVC md5 {dataset['md5'][:12]}")

    def train_on_new_data(self) -> dict[str, Any] | None:
        """Watch the run that the new dataset version has triggered."""
        with self.stage("train on new data") as came:
            run = self.next_training(self.ingested)
            tasks = self.watch("train", run, may_skip=True)
            champion: dict[str, Any] | None = self.status()["champion"]
            if tasks["train"]["state"] == "skipped" and not champion:
                came(f"not yet: {self.airflow.last_words(f'{self.model}_train', run, 'train')}")
                return None
            came(describe(champion) if champion else "the gate said no")
            return champion

    def served(self, version: int) -> None:
        """Wait until serving answers with this version, without anybody restarting it."""
        with self.stage(f"serve version {version}") as came:
            url = f"{self.platform.settings.url('serving')}/v2/models/{self.model}"
            self.wait_for(lambda: str(version) in served_versions(url), f"{url} to say {version}")
            came(f"{url} answers with version {version}")

    def traffic(self, batch: str) -> None:
        """Replay a month; its batch arrives in the landing folder at its end."""
        with self.stage(f"traffic of {batch}") as came:
            came(self.simulate(batch, batch, *self.planted))

    def monitor(self, batch: str) -> None:
        """Trigger the monitor DAG and read what it found."""
        with self.stage(f"monitor {batch}") as came:
            run = self.airflow.trigger(f"{self.model}_monitor")
            self.watch("monitor", run, may_skip=True)
            window = read_window(batch, self.wait_for(self.decided, "the monitor's decision"))
            self.record.windows.append(window)
            came(judgement(window))

    def decided(self) -> dict[str, Any]:
        """Give the newest check results; none while a run, perhaps a scheduled one, decides."""
        checks: dict[str, Any] = self.status()["checks"]
        return checks if checks["retrain"] else {}

    def asked(self, champion: dict[str, Any]) -> bool:
        """Say whether a monitor, ours or a scheduled one, has asked to replace this champion."""
        return any(r["version"] == str(champion["version"]) for r in self.status()["retrains"])

    def retrained(self, before: dict[str, Any]) -> dict[str, Any]:
        """Watch the run that the monitor's verdict has triggered, until the gate has spoken."""
        with self.stage("retrain, as the monitor asked") as came:
            while True:
                run = self.next_training()
                tasks = self.watch("train", run, may_skip=True)
                if tasks["train"]["state"] != "skipped":  # a new dataset alone trains nothing
                    break
            champion: dict[str, Any] = self.status()["champion"]
            if champion["version"] == before["version"] or champion["trigger"] != "retrain":
                why = self.airflow.last_words(f"{self.model}_train", run, "promote")
                raise LapError(f"version {before['version']} is still champion: {why}")
            came(describe(champion))
            return champion

    # What the stages are made of ------------------------------------------------------------

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[str], None]]:
        """Tell of a stage and time it; the block says what came out."""
        outcome: list[str] = []
        begun = time.monotonic()
        self.told.begin(name)
        yield outcome.append
        seconds = time.monotonic() - begun
        self.record.stages.append((name, seconds))
        self.told.end(name, seconds, outcome[-1])

    def simulate(self, first: str, last: str, *options: str) -> str:
        """Replay batches to the end; give what the simulator says of it."""
        arguments = ["--model", self.model, "--from", first, "--to", last, "--once"]
        arguments += ["--a-day", A_DAY, "--connections", CONNECTIONS, *options]
        self.platform.simulate(arguments)
        self.wait_for(lambda: self.simulator_ended(), f"the traffic of {first} to {last}")
        told = self.last_line()
        done = json.loads(told)
        if done.get("event") != "done" or done.get("refused"):
            raise LapError(f"the simulator ended with: {told}")
        return f"{done['answered']:,} answers, {done['labels']:,} labels delivered"

    def simulator_ended(self) -> bool:
        """Say whether it has ended well; raise if it has not."""
        state = self.platform.state("simulator")
        if state["statename"] == "EXITED" and state["exitstatus"] == 0:
            return True
        if state["statename"] in {"EXITED", "FATAL"}:
            raise LapError(f"the simulator failed: {self.last_line()}")
        return False

    def last_line(self) -> str:
        """Give what the simulator said last."""
        lines = self.platform.supervisor.last_words("simulator").strip().splitlines()
        return lines[-1] if lines else ""

    def watch(self, dag: str, run: str, may_skip: bool = False) -> dict[str, dict[str, Any]]:
        """Wait for a run's end; every task must have succeeded, or been skipped where it may."""
        name = f"{self.model}_{dag}"
        tasks = self.airflow.await_run(name, run, lambda task, s: self.told.hear(f"{task} {s}"))
        fine = {"success", "skipped"} if may_skip else {"success"}
        for task, instance in tasks.items():
            if instance["state"] not in fine:
                log = self.airflow.log(name, run, task)[-2000:]
                raise LapError(f"{name}.{task} is {instance['state']}. The end of its log:\n{log}")
        return tasks

    def next_training(self, since: str = "1970-01-01T00:00:00Z") -> str:
        """Wait for a training run that we have not seen yet, and that began after a time."""
        name = f"{self.model}_train"

        def fresh() -> str:
            new = [run["dag_run_id"] for run in self.airflow.begun_since(name, since)]
            return next((run for run in reversed(new) if run not in self.trained), "")

        run = self.wait_for(fresh, f"{name} to be triggered by its asset")
        self.trained.add(run)
        return run

    def newest_batch(self) -> str:
        """Name the newest batch that the data registry holds."""
        return str(self.status()["dataset"]["batches"][-1])

    def status(self) -> dict[str, Any]:
        """Ask ``relay status`` about the model."""
        environment = shared(self.platform.settings, os.environ)
        command = [environment["RELAY_COMMAND"], "status", "--json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LapError(f"relay status failed: {done.stderr[-2000:]}")
        model: dict[str, Any] = json.loads(done.stdout)["models"][self.model]
        return model

    def wait_for(self, condition: Callable[[], T], what: str) -> T:
        """Wait until a condition gives something true."""
        deadline = time.monotonic() + PATIENCE
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise LapError(f"waited {PATIENCE:.0f} s in vain for {what}")
            time.sleep(0.2)
        return value


def served_versions(url: str) -> list[str]:
    """Ask serving which versions of a model answer."""
    try:
        answer = httpx.get(url, timeout=5, trust_env=False)
    except httpx.TransportError:
        return []
    return list(answer.json()["versions"]) if answer.is_success else []
