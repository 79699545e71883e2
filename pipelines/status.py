"""The installation's settings in, the state of the whole loop out: as data, and as one screen.

What cannot be asked is said to be away, with its address; it never looks healthy.
"""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import httpx

from monitoring.results import MonitorRun, read_history, read_run
from pipelines import models
from pipelines.datasets import RegistryError
from pipelines.exits import Refused
from pipelines.settings import MLFLOW_HOME, Settings
from pipelines.steps.ingest import data_registry
from pipelines.steps.retrain import figures

if TYPE_CHECKING:
    from pipelines.tracking import ModelVersion

log = logging.getLogger(__name__)
UNKNOWN: dict[str, Any] = {"champion": None, "challenger": None, "versions": None}
HEALTH = {  # path that answers 200 when the service can do its work
    "airflow": "/api/v2/monitor/health",
    "mlflow": "/health",
    "serving": "/ready",
    "evidently": "/",
    "tensorboard": "/data/environment",
    "prometheus": "/-/ready",
}


def read(settings: Settings) -> dict[str, Any]:
    """Ask every service and every store; nothing is started, nothing waits for long."""
    services = {name: _service(settings, name) for name in HEALTH}
    names = models.names()
    registered = _registered(names, settings) if services["mlflow"]["up"] else {}
    return {
        "services": services,
        "models": {
            name: _datasets(name, settings)
            | registered.get(name, UNKNOWN)
            | _watched(name, settings)
            for name in names
        },
    }


def render(status: dict[str, Any]) -> str:
    """Lay the state out for a person."""
    lines = ["SERVICES"]
    for name, service in status["services"].items():
        state = f"up   {service['link']}" if service["up"] else f"AWAY {service['url']}"
        if without := service.get("without"):
            state = f"up, {without}   {service['link']}"
        lines.append(f"  {name:<11} {state}")
    for name, model in status["models"].items():
        lines += ["", f"MODEL {name}", f"  dataset     {_dataset_line(model['dataset'])}"]
        for alias in ("champion", "challenger"):
            known = model["versions"] is not None
            told = _version_line(model[alias]) if known else "AWAY: MLflow does not answer"
            lines.append(f"  {alias:<11} {told}")
            if trial := (model[alias] or {}).get("trial"):
                lines.append(f"    {_trial_line(trial)}")
        lines += _check_lines(model["checks"])
    return "\n".join(lines)


def describe_version(version: "ModelVersion | None") -> dict[str, Any] | None:
    """Say of a version what people ask: where from, how good, why it is where it is."""
    if version is None:
        return None
    told = {
        key.removeprefix("relay."): value
        for key, value in version.tags.items()
        if key.startswith("relay.")
    }
    return {"version": version.version, "run_id": version.run_id} | told | _trial(version)


def _trial(version: "ModelVersion") -> dict[str, Any]:
    """Give what became of the order in its tag ``relay.canary``; nothing where there is none."""
    from pipelines import canary

    try:
        trial = canary.read(version)
    except Refused as error:
        return {"trial": {"share": None, "state": "unknown", "reason": str(error)}}
    if trial is None:
        return {}
    told = {"share": trial.order.share, "state": trial.state, "reason": trial.reason}
    return {"trial": told}


def _service(settings: Settings, name: str) -> dict[str, Any]:
    url = getattr(settings, f"{name}_url")
    page = MLFLOW_HOME if name == "mlflow" else ""
    link = getattr(settings, f"{name}_link") + page
    up = _answers(url + HEALTH[name])
    if not up and name == "serving" and _answers(f"{url}/live"):
        return {"url": url, "link": link, "up": True, "without": "no model yet"}
    return {"url": url, "link": link, "up": up}


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _datasets(name: str, settings: Settings) -> dict[str, Any]:
    try:
        found = [version.summary() for version in data_registry(settings).versions(name)]
    except RegistryError as error:
        return {"dataset": {"error": str(error)}, "datasets": []}
    return {"dataset": found[-1] if found else None, "datasets": found}


def _watched(name: str, settings: Settings) -> dict[str, Any]:
    path = settings.checks / f"{name}.json"
    try:
        run = read_run(path).model_dump(mode="json") if path.exists() else None
        return {"checks": run, "retrains": _retrains(read_history(settings.checks, name))}
    except (OSError, ValueError) as error:
        return {"checks": {"error": f"{path} or its history: {error}"}, "retrains": []}


def _retrains(history: Iterable[MonitorRun]) -> list[dict[str, Any]]:
    return [
        {
            "version": run.version,
            "window_end": run.window_end.isoformat(),
            "reason": run.retrain.reason,
        }
        for run in history
        if run.retrain and run.retrain.requested
    ]


def _registered(names: Iterable[str], settings: Settings) -> dict[str, dict[str, Any]]:
    """Ask MLflow about the models; none of them where it has come up without its database."""
    from pipelines.tracking import Tracking, TrackingError

    try:
        tracking = Tracking.of(settings)
        found = {name: tracking.registered(name) for name in names}
    except TrackingError as error:
        log.warning("%s", error)
        return {}
    return {
        name: {
            "champion": describe_version(told.champion),
            "challenger": describe_version(told.challenger),
            "versions": [describe_version(version) for version in told.versions],
        }
        for name, told in found.items()
    }


def _dataset_line(dataset: dict[str, Any] | None) -> str:
    if dataset is None:
        return "none yet"
    if "error" in dataset:
        return f"AWAY: {dataset['error']}"
    span = f"{dataset['start'][:10]} to {dataset['end'][:10]}"
    return f"{dataset['tag']}: {dataset['rows']:,} rows, {span}, {dataset['md5']}"


def _version_line(version: dict[str, Any] | None) -> str:
    if version is None:
        return "none"
    scores = f"log loss {version.get('log_loss', '?')} ({version.get('rival', '?')}: "
    scores += f"{version.get('rival_log_loss', '?')})"
    if "auc" in version:
        scores += f", AUC {version['auc']}"
    made = f"trained on {version.get('dataset')}; why: {version.get('reason')}"
    return f"@{version['version']}: {scores}; {made}"


def _trial_line(trial: dict[str, Any]) -> str:
    share = "" if trial["share"] is None else f" of {trial['share'] * 100:g}% of the keys"
    return f"canary{share}: {trial['state']}, {trial['reason']}"


def _check_lines(run: dict[str, Any] | None) -> list[str]:
    if run is None:
        return ["  checks      the monitor has not run yet"]
    if "error" in run:
        return [f"  checks      CANNOT BE READ: {run['error']}"]
    results = run["results"]
    count = {v: sum(r["verdict"] == v for r in results) for v in ("ok", "alert", "unknown")}
    lines = [
        f"  checks      {count['ok']} ok, {count['alert']} alert, {count['unknown']} unknown; "
        f"window {run['window_start'][:10]} to {run['window_end'][:10]}, version {run['version']}"
    ]
    for result in results:
        if result["verdict"] != "ok":
            what = f"{result['check']} {result['column'] or ''}".strip()
            what += figures(result["score"], result["threshold"])
            lines.append(f"    {result['verdict']:<8} {what}: {result['reason']}")
    retrain = run["retrain"]
    decision = "not decided yet"
    if retrain:
        decision = f"{'asked for' if retrain['requested'] else 'no'}: {retrain['reason']}"
    return [*lines, f"  retrain     {decision}"]
