"""The outside world of the model "names": a month's name in, the names that were given in it out.

The package names ships three lists of the US census of 1990 with each name's share (MIT). Its
Python module is never imported: the lists are read. A month is ``ROWS`` people who each give one
name, drawn by these shares. The people and their times are invented, and so is what happens to
them, which is written down in ``CALENDAR``; the same month is always the same rows.
"""

from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from random import Random

import pandas as pd

from pipelines.names.drifts import finnish, keyboard

PACKAGE = "names"
LISTS = {"surname": "dist.all.last", "female": "dist.female.first", "male": "dist.male.first"}
KINDS = ["surname", "surname", "female", "male"]  # half of the names are surnames
COLUMNS = ["name_id", "given_time", "kind", "name"]
ROWS = 6000
YEAR = 2024

CALENDAR: dict[str, list[Callable[[pd.DataFrame], pd.DataFrame]]] = {  # from a month on
    "2024-01": [],  # the census alone
    "2024-07": [finnish],  # a partner in Finland sends its people
    "2024-10": [finnish, keyboard],  # and bots find the form
    "2024-11": [finnish],
}


def batch_names() -> list[str]:
    """Name every month there is, oldest first: ``["2024-01", ..., "2024-12"]``."""
    return [f"{YEAR}-{month:02d}" for month in range(1, 13)]


def read_batch(name: str) -> pd.DataFrame:
    """Read one month, one row a name, ordered by time, with the columns ``COLUMNS``.

    Raises ValueError for a month that the source does not have.
    """
    if name not in batch_names():
        raise ValueError(f"batch {name!r} is not in the feed; it has {', '.join(batch_names())}")
    random = Random(name)  # noqa: S311  so that everybody draws the same
    begin = pd.Timestamp(f"{name}-01", tz="UTC")
    seconds = int((begin + pd.offsets.MonthBegin() - begin).total_seconds())
    times = sorted(random.randrange(seconds) for _ in range(ROWS))
    kinds = random.choices(KINDS, k=ROWS)
    batch = pd.DataFrame(
        {
            "name_id": [f"{name}-{number:05d}" for number in range(ROWS)],
            "given_time": begin + pd.to_timedelta(times, unit="s"),
            "kind": kinds,
            "name": [_draw(random, kind) for kind in kinds],
        }
    )
    for happen in CALENDAR[max(month for month in CALENDAR if month <= name)]:
        batch = happen(batch)
    return batch[COLUMNS]


def _draw(random: Random, kind: str) -> str:
    """Draw a name by its share."""
    names, shares = _census(kind)
    return random.choices(names, cum_weights=shares)[0]


@cache
def _census(kind: str) -> tuple[Sequence[str], Sequence[float]]:
    """Read a list once a process: its names, and the sum of the shares up to each, in percent.

    Shares are rounded to 0.001 %: 69,960 surnames have none of their own, and share evenly what
    the list's running total says that they have together.
    """
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"the names feed needs the package {PACKAGE}: install it")
    path = Path(spec.submodule_search_locations[0]) / LISTS[kind]
    lines = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    names, shares = [line[0] for line in lines], [float(line[1]) for line in lines]
    left = max(0.0, float(lines[-1][2]) - sum(shares)) / max(1, shares.count(0.0))
    return names, list(accumulate(share or left for share in shares))
