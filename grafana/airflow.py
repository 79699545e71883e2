"""Airflow: is the scheduler well, and how did every DAG's last run go?"""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import states
from grafana.board import board, shelf
from grafana.panels import (
    ANY_IS_BAD,
    Panel,
    Texts,
    bars,
    lines,
    listing,
    now,
    number,
    query,
    rows,
    timeline,
)

AIRFLOW = ("Airflow", "${airflow}/dags")
HEALTH: Texts = {1: ("healthy", "green"), 0: ("unhealthy", "red")}


def airflow() -> Dashboard:
    """Arrange the page: the components, the DAGs' last runs, then their tasks."""
    return board(
        "relay-airflow",
        "Airflow",
        "Do things run when they should? Components, DAGs and tasks, all models.",
        shelf(6, (4, _errors()), (4, _failed()), (4, _active()), (12, _health())),
        shelf(8, (14, _runs()), (10, _table()), title="Runs"),
        shelf(10, (14, _tasks()), (10, _longest()), title="Tasks of the last runs"),
        shelf(7, (12, _heartbeats()), (12, _durations()), title="Over time"),
        model_free=True,
    )


def _errors() -> Panel:
    return number(
        "DAG files with errors",
        "Their DAGs do not run. Airflow's page names file and line.",
        now("max(relay_airflow_import_errors)"),
        steps=ANY_IS_BAD,
        link=AIRFLOW,
    )


def _failed() -> Panel:
    return number(
        "Failed last runs",
        "The table below names them; the failed task's log says why. A gate that refused is a "
        "failure, too, and is not retried.",
        now('sum(relay_dag_last_run_state{state="failed"})'),
        steps=ANY_IS_BAD,
        link=AIRFLOW,
    )


def _active() -> Panel:
    return number(
        "Runs now",
        "Queued for long while nothing runs: the scheduler has no slot, or is not well.",
        now("sum by (state) (relay_dag_runs)", "{{state}}"),
        link=AIRFLOW,
    )


def _health() -> Panel:
    return timeline(
        "Components",
        "What Airflow says of itself. Unhealthy or a gap: look at that program's log; while the "
        "scheduler is away no lap turns.",
        query("max by (component) (relay_airflow_component_healthy)", "{{component}}"),
        texts=HEALTH,
    )


def _runs() -> Panel:
    last = states.coded("relay_dag_last_run_state", "", "state", states.RUN_STATES)
    return timeline(
        "The last run of each DAG",
        "Red until a run ends well. A row that never turns blue does not run: paused, or not "
        "scheduled.",
        query(f"max by (dag) ({last})", "{{dag}}"),
        texts=states.RUNS,
        link=AIRFLOW,
    )


def _table() -> Panel:
    return listing(
        "DAGs",
        "Ages are since the last start and the last good end. Paused DAGs wait for a person.",
        rows("time() - max by (dag) (relay_dag_last_run_start_timestamp_seconds)"),
        rows("max by (dag) (relay_dag_last_run_duration_seconds)"),
        rows("time() - max by (dag) (relay_dag_last_success_timestamp_seconds)"),
        rows("max by (dag) (relay_dag_paused)"),
        columns={
            "dag": "DAG",
            "Value #A": "started",
            "Value #B": "took",
            "Value #C": "succeeded",
            "Value #D": "paused",
        },
        units={"started": "s", "took": "s", "succeeded": "s", "paused": "bool_yes_no"},
        link=AIRFLOW,
    )


def _tasks() -> Panel:
    tasks = states.coded("relay_task_last_state", "", "state", states.TASK_STATES)
    return timeline(
        "State",
        "Skipped is no fault: there was nothing to do. Red: open its log. Held up: a task before "
        "it failed.",
        query(f"max by (dag, task) ({tasks})", "{{dag}} {{task}}"),
        texts=states.TASKS,
        link=AIRFLOW,
    )


def _longest() -> Panel:
    return bars(
        "How long they took",
        "The longest first. A task that grows from run to run will one day be late: see what it "
        "waits for.",
        now(
            "sort_desc(topk(10, max by (dag, task) (relay_task_last_duration_seconds)))",
            "{{dag}} {{task}}",
        ),
        unit="s",
        link=AIRFLOW,
    )


def _heartbeats() -> Panel:
    return lines(
        "Since the last heartbeat",
        "Seconds are well. Climbing: that program hangs or has died; restart it.",
        query(
            "time() - max by (component) (relay_airflow_heartbeat_timestamp_seconds)",
            "{{component}}",
        ),
        unit="s",
    )


def _durations() -> Panel:
    return lines(
        "How long runs take",
        "Each DAG's last run, or the running one so far. Longer than its period: runs will pile "
        "up.",
        query("max by (dag) (relay_dag_last_run_duration_seconds)", "{{dag}}"),
        unit="s",
    )
