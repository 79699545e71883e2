"""What may happen to the images of the model "digits": a batch in, the batch as it is then out."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import ndimage  # type: ignore[import-untyped]

from pipelines.digits.feed import INK

GRAIN = 4.0  # of INK: a scanner that is not well
DEGREES = 35.0  # forms that lie askew
RARE, KEPT = 7, 0.1  # a digit, and the share of its rows that still come


def noise(batch: pd.DataFrame) -> pd.DataFrame:
    """Add Gaussian noise to every pixel."""
    rng = np.random.default_rng(len(batch))
    return _each(batch, lambda image: image + rng.normal(0, GRAIN, image.shape))


def rotation(batch: pd.DataFrame) -> pd.DataFrame:
    """Turn every image."""
    return _each(batch, lambda image: ndimage.rotate(image, DEGREES, reshape=False, order=1))


def inversion(batch: pd.DataFrame) -> pd.DataFrame:
    """Swap paper and ink."""
    return _each(batch, lambda image: INK - image)


def rarity(batch: pd.DataFrame) -> pd.DataFrame:
    """Leave out most rows of one digit."""
    of_it = (batch["digit"] == RARE).to_numpy()
    kept = np.flatnonzero(~of_it | (np.cumsum(of_it) % round(1 / KEPT) == 0))
    return batch.iloc[kept].reset_index(drop=True)


DRIFTS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "noise": noise,
    "rotation": rotation,
    "inversion": inversion,
    "rarity": rarity,
}


def _each(batch: pd.DataFrame, change: Callable[[np.ndarray], np.ndarray]) -> pd.DataFrame:
    def changed(pixels: np.ndarray) -> np.ndarray:
        image = change(pixels.reshape(8, 8))
        return image.round().clip(0, INK).astype(np.float32).ravel()

    return batch.assign(pixels=batch["pixels"].map(changed))
