"""A feed's batch in, what happens in event time out: ticks of rows that are asked and labels due.

Which rows are asked is drawn by their ids, so that every run with a seed asks the same ones.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from pipelines.models import Model
from services.simulator.plan import Plan

TICK = pd.Timedelta(hours=6)
_PARTS = 1_000_000


@dataclass(frozen=True)
class Tick:
    """What happens before `end`: rows to ask, in event-time order, and labels known since."""

    end: pd.Timestamp
    rows: pd.DataFrame
    labels: pd.DataFrame


def sampled(model: Model, plan: Plan, batch: pd.DataFrame) -> pd.DataFrame:
    """Draw the rows that are asked, in event-time order, with their `label` and `label_time`.

    Where nobody tells a label (`density`) they have none.
    """
    data = model.policy.data
    share = int(_share(plan, batch[data.event_time]) * _PARTS)
    drawn = [zlib.crc32(f"{plan.seed}:{name}".encode()) % _PARTS < share for name in batch[data.id]]
    rows = batch[drawn]
    if model.problem.labelled:
        rows = rows.assign(label=model.rows.label(rows), label_time=model.rows.label_time(rows))
    else:
        never = pd.Series(pd.NaT, rows.index, dtype="datetime64[ns, UTC]")
        rows = rows.assign(label=float("nan"), label_time=never)
    return rows.sort_values([data.event_time, data.id], ignore_index=True)


def world(model: Model, plan: Plan, name: str) -> pd.DataFrame:
    """Read a batch as it is once the plan's drift has come.

    Raises ValueError naming the model's drifts where it has none of that name.
    """
    batch: pd.DataFrame = model.feed.read_batch(name)
    if plan.drift is None:
        return batch
    if plan.drift not in model.drifts:
        known = ", ".join(model.drifts) or "none"
        raise ValueError(f"{model.name} has no drift {plan.drift!r}; it has {known}")
    if plan.since is None:
        return model.drifts[plan.drift](batch)
    before = batch[model.policy.data.event_time] < plan.since
    return pd.concat([batch[before], model.drifts[plan.drift](batch[~before])], ignore_index=True)


def ticks(
    rows: pd.DataFrame, earlier: pd.DataFrame | None, event_time: str, clock: pd.Timestamp | None
) -> Iterator[Tick]:
    """Cut a batch's rows into ticks from `clock` on; labels of `earlier` rows may fall due too."""
    asked = pd.concat([earlier, rows])
    ahead = rows if clock is None else rows[rows[event_time] >= clock]
    for start, group in ahead.groupby(ahead[event_time].dt.floor(TICK)):
        end = start + TICK
        yield Tick(end, group, due(asked, clock, end))
        clock = end if clock is None else max(clock, end)


def due(
    asked: pd.DataFrame, since: pd.Timestamp | None, end: pd.Timestamp | None = None
) -> pd.DataFrame:
    """Give the rows whose label becomes known in [since, end); None leaves a side open."""
    known = asked.dropna(subset=["label", "label_time"])
    if since is not None:
        known = known[known["label_time"] >= since]
    return known if end is None else known[known["label_time"] < end]


def _share(plan: Plan, times: "pd.Series[pd.Timestamp]") -> float:
    """Give the share of a batch's rows that are asked."""
    if not plan.a_day:
        return plan.sample
    return min(plan.sample, plan.a_day * times.dt.floor("D").nunique() / len(times))
