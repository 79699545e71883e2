"""The command line in, what to replay out."""

from argparse import ArgumentParser, ArgumentTypeError, BooleanOptionalAction
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from pipelines.models import names


@dataclass(frozen=True)
class Plan:
    """Which months of which model are replayed, how much of them, and how fast.

    `sample` is the share of rows that are asked, `a_day` the most of a day's that are, about, 0 for
    all; `rate` is in requests a second and `speed` in event seconds a second, each 0 for as fast as
    possible. `drift` names one of the model's drifts, which all rows have from `since` on.
    """

    model: str
    first: str | None = None
    last: str | None = None
    sample: float = 1.0
    a_day: float = 0.0
    drift: str | None = None
    since: pd.Timestamp | None = None
    seed: int = 0
    rate: float = 0.0
    speed: float = 0.0
    connections: int = 16
    requests: bool = True
    once: bool = False
    restart: bool = False

    def months(self, names: Sequence[str]) -> list[str]:
        """Cut the feed's batches to what is asked for. Raises ValueError where that is nothing."""
        first, last = self.first or names[0], self.last or names[-1]
        for name in (first, last):
            if name not in names:
                raise ValueError(f"batch {name!r} is not in the feed, which has {', '.join(names)}")
        if not (months := list(names[names.index(first) : names.index(last) + 1])):
            raise ValueError(f"there is nothing from {first} to {last}")
        return months


def read_plans(arguments: Sequence[str] | None = None) -> list[Plan]:
    """Read the command line: a plan a model. Exits with a usage message where it is wrong."""
    parser = ArgumentParser(prog="python -m services.simulator", description=__doc__)
    add = parser.add_argument
    add("--model", help="folder of the model: pipelines/<model>/; all of them where none is given")
    add("--from", dest="first", metavar="BATCH", help="first batch, such as 2013-03")
    add("--to", dest="last", metavar="BATCH", help="last batch, included")
    add("--sample", type=_share, default=1.0, help="share of the rows that are asked (0..1]")
    add("--a-day", type=_positive, default=0.0, help="rows of a day that are asked, about; 0: all")
    add("--drift", help="what happens to the rows: a name in pipelines/<model>/drifts.py")
    add("--since", type=_time, help="from when on it does, as 2024-04-15; without: from the first")
    add("--seed", type=int, default=0, help="which rows are in the sample")
    add("--rate", type=_positive, default=0.0, help="requests a second, 0: as fast as possible")
    add("--speed", type=_positive, default=0.0, help="event seconds a second, 0: as fast")
    add("--connections", type=_count, default=16, help="requests that are under way at once")
    add("--requests", action=BooleanOptionalAction, default=True, help="or only land batches")
    add("--once", action="store_true", help="end after the last batch, instead of staying")
    add("--restart", action="store_true", help="from the beginning, instead of where it was")
    given = vars(parser.parse_args(arguments))
    models = [given["model"]] if given["model"] else names()
    return [Plan(**given | {"model": model}) for model in models]


def _share(text: str) -> float:
    if not 0 < float(text) <= 1:
        raise ArgumentTypeError(f"{text} is not a share: want more than 0, at most 1")
    return float(text)


def _time(text: str) -> pd.Timestamp:
    time = pd.Timestamp(text)
    return time.tz_localize("UTC") if time.tzinfo is None else time


def _count(text: str) -> int:
    if int(text) < 1:
        raise ArgumentTypeError(f"{text} is not 1 or more")
    return int(text)


def _positive(text: str) -> float:
    if not 0 <= float(text) < float("inf"):
        raise ArgumentTypeError(f"{text} is not 0 or more")
    return float(text)
