"""Values in, Apache DataSketches out: quantiles (KLL) and counts by text, each of bounded size.

The only file that imports datasketches (https://apache.github.io/datasketches-python/). Its KLL
draws by chance once it holds more than `K` values, so two sketches of the same long window may
differ, within the error; a window of up to `K` values is kept whole.
"""

import numpy as np
import numpy.typing as npt
from datasketches import (  # type: ignore[import-untyped]
    frequent_items_error_type,
    frequent_strings_sketch,
    kll_doubles_sketch,
)

K = 4096
RANK_ERROR = float(kll_doubles_sketch.get_normalized_rank_error(K, False))  # of a rank, at 99 %
SHARE_ERROR = float(kll_doubles_sketch.get_normalized_rank_error(K, True))  # of a value's share
LG_CATEGORIES = 16
CATEGORIES = 2**LG_CATEGORIES * 3 // 4  # distinct texts that are counted exactly

Floats = npt.NDArray[np.float64]


class Quantiles:
    """Where numbers lie: ranks within `RANK_ERROR`, about 100 kB for any count of them."""

    def __init__(self, content: bytes | None = None) -> None:
        """Begin empty, or read what `to_bytes` gave; ValueError if it is something else."""
        try:
            self._kll = (
                kll_doubles_sketch(K)
                if content is None
                else kll_doubles_sketch.deserialize(content)
            )
        except (RuntimeError, IndexError) as error:  # what the library raises
            raise ValueError(f"not a KLL sketch: {error}") from error

    def add(self, values: Floats) -> None:
        """Take values (n,), all finite."""
        self._kll.update(values)

    def merge(self, other: "Quantiles") -> None:
        """Take what another one has seen."""
        self._kll.merge(other._kll)

    def weighted(self) -> tuple[Floats, Floats]:
        """Give the distinct values kept, ascending, and how many each stands for: both (m,)."""
        kept = np.array(list(self._kll), np.float64).reshape(-1, 2)
        values, which = np.unique(kept[:, 0], return_inverse=True)
        counts = np.bincount(which, weights=kept[:, 1], minlength=len(values))
        return values, counts.astype(np.float64)

    def to_bytes(self) -> bytes:
        """Give the library's own format."""
        return bytes(self._kll.serialize())


class Frequencies:
    """How often each text came: exact up to `CATEGORIES` different ones, then the commonest."""

    def __init__(self, content: bytes | None = None) -> None:
        """Begin empty, or read what `to_bytes` gave; ValueError if it is something else."""
        try:
            self._sketch = (
                frequent_strings_sketch(LG_CATEGORIES)
                if content is None
                else frequent_strings_sketch.deserialize(content)
            )
        except (RuntimeError, IndexError) as error:
            raise ValueError(f"not a sketch of frequent texts: {error}") from error

    def add(self, text: str, count: int) -> None:
        """Count a text so many times more."""
        self._sketch.update(text, count)

    def merge(self, other: "Frequencies") -> None:
        """Take what another one has counted."""
        self._sketch.merge(other._sketch)

    @property
    def total(self) -> int:
        """How many texts were counted, repeated ones each time."""
        return int(self._sketch.total_weight)

    @property
    def exact(self) -> bool:
        """Whether every text was kept; else only those that came often."""
        return sum(self.counts().values()) == self.total

    def counts(self) -> dict[str, int]:
        """Give the texts kept and how often each came at least, commonest first."""
        found = self._sketch.get_frequent_items(frequent_items_error_type.NO_FALSE_NEGATIVES, 0)
        at_least = {text: int(lower) for text, _, lower, _ in found}
        return dict(sorted(at_least.items(), key=lambda item: (-item[1], item[0])))

    def to_bytes(self) -> bytes:
        """Give the library's own format."""
        return bytes(self._sketch.serialize())
