"""A landing batch in, a dataset version out, or the batch in quarantine with its report."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines import batches
from pipelines.datasets import Batch, BatchConflict, DataRegistry, DatasetVersion, is_held
from pipelines.exits import NothingToDo, Refused
from pipelines.models import Model
from pipelines.policy import Column, Policy
from pipelines.settings import Settings

log = logging.getLogger(__name__)
_CLOCKS_DIFFER = pd.Timedelta(days=1)


def check(rows: pd.DataFrame, known: pd.DataFrame | None, policy: Policy) -> list[str]:
    """Judge a batch by the policy; one sentence a fault, none if it may enter the registry.

    Args:
        rows: the batch, typed as in ``policy.data``.
        known: what the registry holds already (for category sets), None before the first version.
        policy: the limits.

    """
    gate, data, faults = policy.ingest, policy.data, []
    if len(rows) < gate.min_rows:
        faults.append(f"the batch holds {len(rows)} rows, at least {gate.min_rows} are expected")
    duplicates = rows[data.id].duplicated().mean()
    if duplicates > gate.max_duplicate_share:
        faults.append(_over(data.id, "are duplicates", duplicates, gate.max_duplicate_share))
    for name, column in data.columns.items():
        faults += _missing(rows[name], column)
        faults += _out_of_range(rows[name], column, gate.max_out_of_range_share)
        if known is not None and name in known:  # not a column that the policy has gained since
            faults += _new_categories(rows[name], known[name], column)
    return faults + _in_the_future(rows[data.event_time])


def ingest(model: Model, settings: Settings, name: str | None = None) -> dict[str, Any]:
    """Take a batch (by default the next one) from the landing folder into the data registry.

    Raises:
        NothingToDo: the landing folder has no batch that the registry does not hold.
        Refused: the batch is faulty; it is in quarantine beside its report.

    """
    registry = data_registry(settings)
    held = registry.latest(model.name)
    path = _find(settings.landing / model.name, held, name)
    name = path.name.removesuffix(batches.SUFFIX)
    try:
        rows = batches.read(path, model.policy.data)
        batch = _describe(path, rows, model.policy, settings.airflow_run)
        if held and is_held(held, batch):
            log.info("%s is already in %s: nothing changes", name, held.tag)
            return {"step": "ingest", "model": model.name, "batch": name} | held.summary()
        faults = check(rows, registry.read(held) if held else None, model.policy)
        if faults:
            raise batches.BatchError(faults)
        version = registry.publish(model.name, batch, rows)
    except (batches.BatchError, BatchConflict) as error:
        report = _quarantine(path, settings.quarantine / model.name, error)
        raise Refused(f"batch {name} is in quarantine: {error} (report: {report})") from error
    log.info("%s: %d rows of %s to %s", version.tag, batch.rows, batch.start, batch.end)
    return {"step": "ingest", "model": model.name, "batch": name} | version.summary()


def data_registry(settings: Settings) -> DataRegistry:
    """Open the installation's data registry."""
    cache = settings.home / "data-cache"
    return DataRegistry(settings.data_registry, settings.data_remote, cache)


def _find(landing: Path, held: DatasetVersion | None, name: str | None) -> Path:
    arrived = sorted(landing.glob(f"*{batches.SUFFIX}"))
    if name:
        path = landing / f"{name}{batches.SUFFIX}"
        if path not in arrived:
            raise Refused(f"batch {name!r} has not arrived: {path} is not there")
        return path
    known = {batch.name for batch in held.batches} if held else set()
    for path in arrived:
        if path.name.removesuffix(batches.SUFFIX) not in known:
            return path
    raise NothingToDo(f"no new batch in {landing}; the registry holds {len(known)}")


def _describe(path: Path, rows: pd.DataFrame, policy: Policy, airflow_run: str) -> Batch:
    time = rows[policy.data.event_time]
    return Batch(
        name=path.name.removesuffix(batches.SUFFIX),
        sha256=batches.sha256(path),
        rows=len(rows),
        start=time.min().isoformat(),
        end=time.max().isoformat(),
        airflow_run=airflow_run,
    )


def _quarantine(path: Path, quarantine: Path, error: batches.BatchError | BatchConflict) -> Path:
    faults = error.faults if isinstance(error, batches.BatchError) else [str(error)]
    digest = batches.sha256(path)
    name = f"{path.name.removesuffix(batches.SUFFIX)}-{digest[:8]}"
    quarantine.mkdir(parents=True, exist_ok=True)
    report = quarantine / f"{name}.json"
    report.write_text(
        json.dumps({"batch": path.name, "sha256": digest, "faults": faults}, indent=2) + "\n"
    )
    path.rename(quarantine / f"{name}{batches.SUFFIX}")  # after the report: never one without why
    return report


def _missing(values: "pd.Series", column: Column) -> list[str]:
    share = values.isna().mean()
    if share <= column.max_missing_share:
        return []
    return [_over(str(values.name), "are missing", share, column.max_missing_share)]


def _out_of_range(values: "pd.Series", column: Column, limit: float) -> list[str]:
    low = float("-inf") if column.min is None else column.min
    high = float("inf") if column.max is None else column.max
    if column.type not in {"long", "double"}:
        return []
    if column.shape:
        values = pd.Series(np.concatenate(values.dropna().to_list()), name=values.name)
    outside = values[values.notna() & ~values.between(low, high)]
    share = len(outside) / len(values)
    if share <= limit:
        return []
    return [_over(str(values.name), f"are outside {low} to {high}", share, limit, outside.iloc[0])]


def _in_the_future(values: "pd.Series") -> list[str]:
    """No share is allowed: one wrong date would be the newest day of the dataset for good."""
    later = values[values > pd.Timestamp.now("UTC") + _CLOCKS_DIFFER]
    if later.empty:
        return []
    found = f"{len(later)} rows are in the future, such as {later.iloc[0].isoformat()}"
    return [f"column {str(values.name)!r}: {found}"]


def _new_categories(values: "pd.Series", known: "pd.Series", column: Column) -> list[str]:
    if column.max_new_share is None:
        return []
    new = values[values.notna() & ~values.isin(known.unique())]
    share = len(new) / len(values)
    if share <= column.max_new_share:
        return []
    return [_over(str(values.name), "are new categories", share, column.max_new_share, new.iloc[0])]


def _over(column: str, what: str, share: float, limit: float, example: object = None) -> str:
    such_as = "" if example is None else f", such as {example!r}"
    return f"column {column!r}: {share:.2%} {what}{such_as}; the policy allows {limit:.2%}"
