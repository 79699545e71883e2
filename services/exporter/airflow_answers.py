"""What Airflow's REST API answers, as far as the exporter wants to know it.

https://airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html
"""

from datetime import datetime
from typing import Generic, TypeVar

import msgspec

_T = TypeVar("_T")


class Component(msgspec.Struct):
    """A part of Airflow; one that is not there at all has no status."""

    status: str | None
    heartbeat: datetime | None = None


class Scheduler(Component):
    """What decides when tasks run."""

    heartbeat: datetime | None = msgspec.field(default=None, name="latest_scheduler_heartbeat")


class DagProcessor(Component):
    """What reads the DAGs' files."""

    heartbeat: datetime | None = msgspec.field(default=None, name="latest_dag_processor_heartbeat")


class Triggerer(Component):
    """What waits for deferred tasks."""

    heartbeat: datetime | None = msgspec.field(default=None, name="latest_triggerer_heartbeat")


class Health(msgspec.Struct):
    """How Airflow says it is."""

    metadatabase: Component
    scheduler: Scheduler
    dag_processor: DagProcessor
    triggerer: Triggerer


class Dag(msgspec.Struct):
    """A DAG whose file is there."""

    dag_id: str
    is_paused: bool


class Run(msgspec.Struct):
    """One run of a DAG."""

    dag_run_id: str
    state: str
    start_date: datetime | None = None
    end_date: datetime | None = None


class Task(msgspec.Struct):
    """A task in one run; without a state it waits for those before it."""

    task_id: str
    state: str | None = None
    start_date: datetime | None = None
    duration: float | None = None


class Page(msgspec.Struct, Generic[_T]):
    """A part of a list, and how long the whole is."""

    entries: list[_T]
    total_entries: int


class Dags(Page[Dag]):
    """A page of DAGs."""

    entries: list[Dag] = msgspec.field(name="dags")


class Runs(Page[Run]):
    """A page of runs."""

    entries: list[Run] = msgspec.field(name="dag_runs")


class Tasks(Page[Task]):
    """A page of tasks."""

    entries: list[Task] = msgspec.field(name="task_instances")


class ImportErrors(msgspec.Struct):
    """How many DAG files cannot be read."""

    total_entries: int


class State(msgspec.Struct):
    """How many runs are in a state."""

    state: str
    count: int


class Stats(msgspec.Struct):
    """The runs of a DAG."""

    dag_id: str
    stats: list[State]


class AllStats(msgspec.Struct):
    """The runs of those DAGs that have any."""

    dags: list[Stats]


class Token(msgspec.Struct):
    """What a login gives."""

    access_token: str
