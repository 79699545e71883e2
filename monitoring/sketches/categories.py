"""Texts in, how often each came out."""

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from monitoring.measures import CannotTellError
from monitoring.sketches.apache import Frequencies


class CategorySketch(msgspec.Struct, tag="category"):
    """What a column of texts held; `fault` says why a part of it could not be read."""

    rows: int = 0
    missing: int = 0
    frequencies: Frequencies = msgspec.field(default_factory=Frequencies)
    fault: str | None = None

    @property
    def present(self) -> int:
        """Rows that have a value."""
        return self.rows - self.missing

    def commonest(self) -> tuple[str, float]:
        """Give the most common text and its share of those there."""
        for text, count in self.frequencies.counts().items():
            return text, count / self.present
        raise CannotTellError("every text comes so rarely that none was kept")

    def add(self, texts: pa.DictionaryArray) -> None:
        """Take texts (n,), null where missing."""
        self.rows += len(texts)
        self.missing += texts.null_count
        at = pc.drop_null(texts.indices).to_numpy()
        counts = np.bincount(at, minlength=len(texts.dictionary)).tolist()
        for text, count in zip(texts.dictionary.to_pylist(), counts, strict=True):
            if count and text is not None:
                self.frequencies.add(text, count)

    def merge(self, other: "CategorySketch") -> None:
        """Take what another one has counted."""
        self.rows += other.rows
        self.missing += other.missing
        self.frequencies.merge(other.frequencies)
        self.fault = self.fault or other.fault
