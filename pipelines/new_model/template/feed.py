"""The outside world of the model "$name": a month's name in, the visits of a shop in it out.

Made up here, always the same. Fill in: where your rows come from, a file, a database, an API. A
batch is what arrives at once (a day, a month), and its name sorts as time does.
"""

import numpy as np
import pandas as pd

MONTHS = ["2024-01", "2024-02", "2024-03", "2024-04"]
A_DAY = 40
DEVICES = {"desktop": 1.0, "phone": -1.0, "tablet": 0.0}  # what each adds to the log odds


def batch_names() -> list[str]:
    """Name every batch there is, oldest first."""
    return list(MONTHS)


def read_batch(name: str) -> pd.DataFrame:
    """Read one batch, a row a visit, by time, with the columns of ``params.yaml``.

    Raises ValueError for a batch that the feed does not have.
    """
    if name not in MONTHS:
        raise ValueError(f"batch {name!r} is not in the feed; it has {', '.join(MONTHS)}")
    rng = np.random.default_rng(MONTHS.index(name))
    month = pd.Period(name)
    rows = month.days_in_month * A_DAY
    seconds = np.sort(rng.integers(0, month.days_in_month * 86_400, rows))
    device = rng.choice(list(DEVICES), rows)
    pages = rng.integers(1, 21, rows)
    minutes = rng.exponential(4.0, rows).clip(0, 60).round(1)
    odds = pd.Series(device).map(DEVICES) + 0.3 * (pages - 10) + 0.2 * (minutes - 4)
    return pd.DataFrame(
        {
            "visit_id": [f"{name}-{number:05d}" for number in range(rows)],
            "visited_at": month.start_time.tz_localize("UTC") + pd.to_timedelta(seconds, unit="s"),
            "device": device,
            "pages": pages,
            "minutes": np.where(rng.uniform(size=rows) < 0.1, np.nan, minutes),  # not measured
            "bought": (rng.uniform(size=rows) < 1 / (1 + np.exp(-odds))).astype("int64"),
        }
    )
