"""States as numbers, the worse the higher, so that `max` is the worst of several."""

from collections.abc import Mapping

from grafana.panels import Texts

NONE, OK, RUNNING, WAITING, PAUSED, LATE, UNKNOWN, BAD = range(8)
SKIPPED = 8  # of a task, which is in one state only: beside the order
COLOURS = {
    NONE: "gray",
    SKIPPED: "gray",
    OK: "green",
    RUNNING: "blue",
    WAITING: "purple",
    PAUSED: "yellow",
    LATE: "orange",
    UNKNOWN: "orange",
    BAD: "red",
}
RUN_STATES = {"success": OK, "running": RUNNING, "queued": WAITING, "failed": BAD}
TASK_STATES = {
    "success": OK,
    "skipped": SKIPPED,
    "running": RUNNING,
    "queued": WAITING,
    "scheduled": WAITING,
    "no_status": WAITING,
    "up_for_retry": LATE,
    "upstream_failed": UNKNOWN,
    "failed": BAD,
}
VERDICTS = {"ok": OK, "unknown": UNKNOWN, "alert": BAD}


def texts(**words: int) -> dict[int, tuple[str, str]]:
    """Give each state the word that is said of it here, and its colour."""
    return {code: (word.replace("_", " "), COLOURS[code]) for word, code in words.items()}


RUNS = texts(
    none_yet=NONE,
    ok=OK,
    running=RUNNING,
    waiting=WAITING,
    paused=PAUSED,
    late=LATE,
    unknown=UNKNOWN,
    failed=BAD,
)
STAGES: Texts = RUNS | texts(trouble=BAD)
TASKS = texts(
    ok=OK,
    running=RUNNING,
    waiting=WAITING,
    skipped=SKIPPED,
    retries=LATE,
    held_up=UNKNOWN,
    failed=BAD,
)
CHECKS = texts(ok=OK, late=LATE, unknown=UNKNOWN, alert=BAD)
SERVES = texts(ok=OK, behind=LATE, nothing=BAD)
GATES: Texts = {1: ("passed", "green"), 0: ("held back", "yellow")}

SERVED = 'relay_serving_served_version{role="champion",model="$model"}'
WANTED = 'relay_serving_wanted_version{role="champion",model="$model"}'


def coded(metric: str, selector: str, label: str, codes: Mapping[str, int]) -> str:
    """Give the number of the state that holds, of a metric that is 1 for it and 0 for others."""
    chosen = f"{selector}," if selector else ""
    parts = (f'{code} * {metric}{{{chosen}{label}="{name}"}}' for name, code in codes.items())
    return " or ".join(parts)


def run_state(dag: str) -> str:
    """Say how a DAG's last run went, whether it is paused, and whether it is late.

    `dag` is a DAG's id. Late is what has not succeeded for two of the policy's periods.
    """
    last = coded("relay_dag_last_run_state", f'dag="{dag}"', "state", RUN_STATES)
    since = f'time() - max by (dag) (relay_dag_last_success_timestamp_seconds{{dag="{dag}"}})'
    late = f'{LATE} * ({since} > bool 2 * max by (dag) (relay:dag_period_seconds{{dag="{dag}"}}))'
    return f'max({last} or {PAUSED} * relay_dag_paused{{dag="{dag}"}} or {late})'


def first_of(*cases: tuple[str, int]) -> str:
    """Give the number of the first case that holds: a case is a comparison, and its state."""
    return " or ".join(f"({holds}) * 0 + {code}" for holds, code in cases)


def worst_verdict(selector: str, by: str = "") -> str:
    """Say the worst verdict of the checks that are selected."""
    verdicts = coded("relay_check_verdict", selector, "verdict", VERDICTS)
    return f"max {by}({verdicts})"


# Does serving have the champion that the registry wants?
SERVING = "max({})".format(
    first_of((f"{SERVED} == 0", BAD), (f"{SERVED} != {WANTED}", LATE), (SERVED, OK))
)
