"""An Airflow in; its health and the last run of every DAG of ours, task by task, out.

A DAG is ours by its name, `<model>_ingest`, `_train` or `_monitor`. Four questions, and three more
for each of them; however many tasks and runs there are, labels are models, DAGs, tasks and states.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from services.exporter.airflow_answers import Component, Run, Task
from services.exporter.airflow_api import AirflowApi
from services.exporter.gauges import Gauge, Sample, states

OURS = re.compile("(?P<model>.+)_(ingest|train|tune|monitor)")
RUN_STATES = ("queued", "running", "success", "failed")
ACTIVE = ("queued", "running")
WAITING = "no_status"  # as Airflow's own pages call a task that waits for those before it
TASK_STATES = (  # a mapped task is as the first of these that one of its parts is in
    "failed",
    "up_for_retry",
    "upstream_failed",
    "running",
    "queued",
    "scheduled",
    WAITING,
    "success",
    "skipped",
)

DAG, TASK = ("model", "dag"), ("model", "dag", "task")
HEALTHY = Gauge(
    "relay_airflow_component_healthy", "1 if Airflow says that it works", ("component",)
)
HEARTBEAT = Gauge(
    "relay_airflow_heartbeat_timestamp_seconds", "When it was last alive", ("component",)
)
IMPORT_ERRORS = Gauge("relay_airflow_import_errors", "DAG files that cannot be read")
PAUSED = Gauge("relay_dag_paused", "1 if no run of it begins by itself", DAG)
RUNS = Gauge("relay_dag_runs", "Runs that are in this state now", (*DAG, "state"))
RUN_STATE = Gauge("relay_dag_last_run_state", "1 for the newest run's state", (*DAG, "state"))
RUN_START = Gauge("relay_dag_last_run_start_timestamp_seconds", "When the newest run began", DAG)
RUN_DURATION = Gauge("relay_dag_last_run_duration_seconds", "How long it took, or until now", DAG)
SUCCESS = Gauge("relay_dag_last_success_timestamp_seconds", "When a run last ended well", DAG)
TASK_STATE = Gauge(
    "relay_task_last_state", "1 for its state in the DAG's newest run", (*TASK, "state")
)
TASK_DURATION = Gauge(
    "relay_task_last_duration_seconds", "How long it took in that run, or until now", TASK
)


class AirflowSource:
    """Asks an Airflow."""

    name = "airflow"

    def __init__(self, api: AirflowApi) -> None:
        self._api = api

    def read(self) -> Iterator[Sample]:
        """Read health, DAGs, runs and tasks. Raises SourceAwayError."""
        for name, component in msgspec.structs.asdict(self._api.health()).items():
            yield from _component(name, component)
        yield IMPORT_ERRORS(self._api.import_errors())
        named = [(OURS.fullmatch(dag.dag_id), dag) for dag in self._api.dags()]
        ours = [(found["model"], dag) for found, dag in named if found]
        counts = self._api.counts([dag.dag_id for _, dag in ours])
        for model, dag in ours:
            yield PAUSED(dag.is_paused, model, dag.dag_id)
            for state in ACTIVE:
                yield RUNS(counts.get((dag.dag_id, state), 0), model, dag.dag_id, state)
            yield from self._newest(model, dag.dag_id)

    def _newest(self, model: str, dag: str) -> Iterator[Sample]:
        run = self._api.newest_run(dag)
        if run is None:
            return
        yield from _run(run, model, dag)
        for task in _worst(self._api.tasks(dag, run.dag_run_id)):
            yield from _task(task, model, dag)
        success = self._api.newest_success(dag)
        if success and success.end_date:
            yield SUCCESS(success.end_date.timestamp(), model, dag)


def _component(name: str, component: Component) -> Iterator[Sample]:
    if component.status is None:
        return
    yield HEALTHY(component.status == "healthy", name)
    if component.heartbeat:
        yield HEARTBEAT(component.heartbeat.timestamp(), name)


def _run(run: Run, model: str, dag: str) -> Iterator[Sample]:
    yield from states(RUN_STATE, RUN_STATES, run.state, model, dag)
    if run.start_date:
        yield RUN_START(run.start_date.timestamp(), model, dag)
        yield RUN_DURATION(_seconds(run.start_date, run.end_date), model, dag)


def _task(task: Task, model: str, dag: str) -> Iterator[Sample]:
    labels = (model, dag, task.task_id)
    yield from states(TASK_STATE, TASK_STATES, task.state or WAITING, *labels)
    if task.duration is not None:
        yield TASK_DURATION(task.duration, *labels)
    elif task.state == "running" and task.start_date:
        yield TASK_DURATION(_seconds(task.start_date), *labels)


def _worst(tasks: Iterable[Task]) -> Iterable[Task]:
    """Give each task once; of a mapped one the part that is worst off."""
    rank = {state: number for number, state in enumerate(TASK_STATES)}
    by_rank = sorted(tasks, key=lambda task: rank.get(task.state or WAITING, -1))
    return {task.task_id: task for task in reversed(by_rank)}.values()


def _seconds(start: datetime, end: datetime | None = None) -> float:
    return ((end or datetime.now(UTC)) - start).total_seconds()
