"""The outside world of the model "digits": a month's name in, the images written in it out.

scikit-learn ships 1,797 images of handwritten digits, 8x8 pixels of 0 (paper) to 16 (ink), without
a date. The calendar is made up: every image is written on one day between January and June 2024, by
a shuffle with a fixed seed, and never on another, so that no cut between days has the same image on
both sides; a day has about one image of each digit. An image is stretched there to `COPIES` rows,
each turned, darkened and blurred a little in another way, always the same.
"""

from functools import cache

import numpy as np
import pandas as pd
from scipy import ndimage  # type: ignore[import-untyped]
from sklearn.datasets import load_digits

FIRST, LAST = "2024-01-01", "2024-06-30"
COPIES = 8  # rows of one image
INK = 16.0  # the darkest a pixel can be
DEGREES, SHADE, GRAIN = 6.0, 0.08, 0.6  # of a copy: turned, darkened (share), noise (of INK)


def batch_names() -> list[str]:
    """Name every month there is, oldest first: ``["2024-01", ..., "2024-06"]``."""
    return sorted({f"{day:%Y-%m}" for day in calendar()})


@cache
def read_batch(name: str) -> pd.DataFrame:
    """Read one month, a row an image, by time: image_id, written_at, pixels (64,), digit.

    Raises ValueError for a month that the calendar does not have.
    """
    if name not in batch_names():
        raise ValueError(f"batch {name!r} is not in the feed; it has {', '.join(batch_names())}")
    images, digits = load_digits(return_X_y=True)
    days = [
        _day(day, images[mine], digits[mine])
        for day, mine in calendar().items()
        if f"{day:%Y-%m}" == name
    ]
    return pd.concat(days, ignore_index=True)


@cache
def calendar() -> dict[pd.Timestamp, np.ndarray]:
    """Say which of the 1,797 images, by their number, are written on each day (UTC)."""
    days = pd.date_range(FIRST, LAST, freq="D", tz="UTC")
    _, digits = load_digits(return_X_y=True)
    rng, written = np.random.default_rng(0), np.empty(len(digits), np.int64)
    for digit in np.unique(digits):
        mine = rng.permutation(np.flatnonzero(digits == digit))
        written[mine] = np.arange(len(mine)) * len(days) // len(mine)  # about one a day
    return {day: np.flatnonzero(written == number) for number, day in enumerate(days)}


def _day(day: pd.Timestamp, images: np.ndarray, digits: np.ndarray) -> pd.DataFrame:
    """Stretch a day's images (n, 64) to rows, spread over the working hours."""
    rng = np.random.default_rng(int(day.timestamp()))
    which = rng.permutation(np.repeat(np.arange(len(images)), COPIES))
    seconds = np.sort(rng.uniform(8 * 3600, 20 * 3600, len(which))).round()
    return pd.DataFrame(
        {
            "image_id": [f"{day:%Y-%m-%d}-{number:03d}" for number in range(len(which))],
            "written_at": day + pd.to_timedelta(seconds, unit="s"),
            "pixels": [_copy(images[source].reshape(8, 8), rng) for source in which],
            "digit": digits[which].astype("int64"),
        }
    )


def _copy(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    turned = ndimage.rotate(image, rng.uniform(-DEGREES, DEGREES), reshape=False, order=1)
    shaded = turned * rng.uniform(1 - SHADE, 1 + SHADE) + rng.normal(0, GRAIN, image.shape)
    return np.asarray(shaded.round().clip(0, INK), np.float32).ravel()
