"""What Prometheus says about one model in, the six stages of its lap in words out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from services.page.facts import Facts
from services.page.words import ago, count, span

State = Literal["ok", "running", "attention", "unknown"]


@dataclass(frozen=True)
class Stage:
    """One stage: how it is, the thing that counts most, more about it, and where to look."""

    name: str
    state: State
    value: str
    details: tuple[str, ...]
    link: str


def stages_of(model: str, facts: Facts) -> tuple[Stage, ...]:
    """Give a model's stages in the order of the lap."""
    return tuple(stage(model, facts) for stage in _STAGES)


def _data(model: str, facts: Facts) -> Stage:
    version = facts.number("dataset_version", dataset=model)
    rows = facts.number("dataset_rows", dataset=model)
    age = facts.number("dataset_age", dataset=model)
    quarantined = facts.number("quarantined", model=model)
    details = [
        f"new {ago(age)}" if age is not None else "",
        count(rows, "row"),
        f"{count(quarantined, 'batch', 'batches')} in quarantine" if quarantined else "",
    ]
    state = _worst(_dag(model, "ingest", facts), "attention" if quarantined else "ok")
    value = _number("version", version)
    return _stage("Data", state, value, details, "/d/relay-training", version)


def _train(model: str, facts: Facts) -> Stage:
    age = facts.number("training_age", model=model)
    seconds = facts.number("training_seconds", model=model)
    dag = _dag(model, "train", facts)
    value = "training now" if dag == "running" else ago(age)
    details = [f"the last took {span(seconds)}" if seconds is not None else "", _said(dag)]
    return _stage("Train", dag, value, details, "/d/relay-training", age)


def _gate(model: str, facts: Facts) -> Stage:
    challenger = facts.number("version", model=model, alias="challenger")
    champion = facts.number("version", model=model, alias="champion")
    passed = facts.number("gate", model=model, alias="challenger")
    details = [_number("champion: version", champion)]
    if challenger is None or challenger == champion:
        return _stage("Gate", "ok", "nobody waits", details, "/d/relay-training", champion)
    value = {None: "not judged yet", 0.0: "said no", 1.0: "said yes"}.get(passed, "unknown")
    details = [_number("challenger: version", challenger), *details]
    return _stage("Gate", "ok", value, details, "/d/relay-training", challenger)


def _serve(model: str, facts: Facts) -> Stage:
    served, wanted = facts.number("served", model=model), facts.number("wanted", model=model)
    requests, refused = facts.number("requests", model=model), facts.number("refused", model=model)
    swapping = served is not None and wanted is not None and served != wanted
    details = [
        f"{requests:.3g} requests/s" if requests is not None else "",
        f"{refused:.3g} of them fail" if refused else "",
        _number("wanted: version", wanted) if swapping else "",
    ]
    state: State = "attention" if swapping or refused or served == 0 else "ok"
    return _stage("Serve", state, _number("version", served), details, "/d/relay-serving", served)


def _watch(model: str, facts: Facts) -> Stage:
    age = facts.number("monitor_age", model=model)
    verdicts = {name: facts.number("checks", model=model, verdict=name) for name in _VERDICTS}
    details = [f"{number:.0f} {_VERDICTS[name]}" for name, number in verdicts.items() if number]
    state = _worst(_dag(model, "monitor", facts), "attention" if verdicts["alert"] else "ok")
    if facts.number("checks_readable", model=model) == 0:
        return _stage("Watch", "unknown", "results unreadable", [], "/d/relay-model", None)
    if verdicts["unknown"]:
        state = _worst(state, "unknown")
    value = "has not looked yet" if age is None else f"looked {ago(age)}"
    return _stage("Watch", state, value, details, "/d/relay-model", age)


def _retrain(model: str, facts: Facts) -> Stage:
    requested = facts.number("retrain_requested", model=model)
    budget = facts.number("budget", model=model)
    if requested is None and _dag(model, "monitor", facts) == "running":  # the run's last task
        return Stage("Retrain", "running", "being decided", (), "/d/relay-lap")
    if requested is None and _looked_lately(model, facts):  # by hand, which decides nothing
        value, detail = "not decided yet", "waits for the monitor's next run"
        return Stage("Retrain", "running", value, (detail,), "/d/relay-lap")
    value = {None: "unknown", 0.0: "not needed"}.get(requested, "asked for")
    details = [f"{budget:.0f} more allowed" if budget is not None else ""]
    state: State = "attention" if budget == 0 else "running" if requested else "ok"
    return _stage("Retrain", state, value, details, "/d/relay-lap", requested)


def _looked_lately(model: str, facts: Facts) -> bool:
    """Say whether the newest results are younger than two of the monitor's periods."""
    age, period = facts.number("monitor_age", model=model), facts.number("watched", model=model)
    return age is not None and period is not None and age < 2 * period


_VERDICTS = {"alert": "beyond their limit", "unknown": "unknown", "ok": "ok"}
_STAGES: tuple[Callable[[str, Facts], Stage], ...] = (
    _data,
    _train,
    _gate,
    _serve,
    _watch,
    _retrain,
)
_ORDER: tuple[State, ...] = ("ok", "running", "unknown", "attention")


def _worst(*states: State) -> State:
    return max(states, key=_ORDER.index)


def _dag(model: str, step: str, facts: Facts) -> State:
    """Judge a stage by its DAG: failed or paused asks for a look, silence is not ok."""
    state = facts.dag_state(model, step)
    if facts.dag_paused(model, step) or state == "failed":
        return "attention"
    if not state:
        return "unknown"
    return "ok" if state == "success" else "running"


def _said(state: State) -> str:
    return "its DAG failed or is paused" if state == "attention" else ""


def _number(what: str, number: float | None) -> str:
    return f"{what} {number:.0f}" if number else f"no {what.removesuffix(': version')} yet"


def _stage(
    name: str, state: State, value: str, details: list[str], link: str, known: float | None
) -> Stage:
    """Put a stage together; without the number that it is known from, nobody knows it."""
    said = tuple(detail for detail in details if detail)
    return Stage(name, state if known is not None else _worst("unknown", state), value, said, link)
