"""Rows of predictions in, all that the checks ask of them out, in memory that does not grow."""

from math import inf
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from monitoring.measures import LABEL, CannotTellError, Column, Schema
from monitoring.problems import PROBLEMS, Floats, Kind, Problem
from monitoring.sketches.arrow import (
    Hashes,
    Readable,
    UnreadableColumnError,
    hash_rows,
    is_tensor,
    read_micros,
    read_numbers,
    read_tensor,
    read_texts,
)
from monitoring.sketches.categories import CategorySketch
from monitoring.sketches.distinct import DistinctSketch
from monitoring.sketches.hours import RowHours
from monitoring.sketches.labels import Labels
from monitoring.sketches.numbers import NumberSketch
from monitoring.sketches.outcomes import Outcomes
from monitoring.sketches.probabilities import ProbabilityBins

ColumnSketch = NumberSketch | CategorySketch


class WindowSketch(msgspec.Struct):
    """What one version's rows held: a window of its answers, or the rows that it was trained on.

    `columns` has the features and the watched outputs, tensors left out, `features` names those
    that rows are told apart by. `answers` has the predicted probabilities of all rows, where there
    are two classes, and `outcomes` what the answers were worth, each id once. `contents` counts the
    different rows (event time and features) and `ids` the different ids. `rows` and `labelled`
    count rows as logged, an id that comes again each time. `newest` is the newest event time, in
    microseconds since 1970.
    """

    kind: Kind
    features: list[str]
    columns: dict[str, ColumnSketch]
    answers: ProbabilityBins = msgspec.field(default_factory=ProbabilityBins)
    outcomes: Outcomes = msgspec.field(default_factory=Outcomes)
    contents: DistinctSketch = msgspec.field(default_factory=DistinctSketch)
    ids: DistinctSketch = msgspec.field(default_factory=DistinctSketch)
    rows: int = 0
    labelled: int = 0
    newest: int | None = None

    @classmethod
    def of(cls, schema: Schema, kind: Kind) -> "WindowSketch":
        """Begin an empty one of a model's features and watched outputs."""
        features = [name for name, column in schema.items() if column.feature]
        watched = {name: _sketch_of(each) for name, each in schema.items() if not each.shape}
        return cls(kind, features, watched)

    @property
    def problem(self) -> Problem:
        """What the answers mean."""
        return PROBLEMS[self.kind]

    def column(self, name: str) -> ColumnSketch:
        """Give a column's sketch; CannotTellError if there is none, or it could not be read."""
        if name not in self.columns:
            raise CannotTellError(f"no column {name!r} in what is to be compared")
        if fault := self.columns[name].fault:
            raise CannotTellError(f"{name}: {fault}")
        return self.columns[name]

    def present(self, name: str) -> ColumnSketch:
        """Give a column's sketch; CannotTellError, too, if it has no value."""
        column = self.column(name)
        if not column.present:
            raise CannotTellError(f"{name} has no value in {column.rows} rows")
        return column

    def numbers(self, name: str) -> NumberSketch:
        """Give the sketch of numbers that have a value, or raise CannotTellError."""
        if isinstance(column := self.present(name), NumberSketch):
            return column
        raise CannotTellError(f"{name} is a text and no number")

    def categories(self, name: str) -> CategorySketch:
        """Give the sketch of texts that have a value, or raise CannotTellError."""
        if isinstance(column := self.present(name), CategorySketch):
            return column
        raise CannotTellError(f"{name} is a number and no text")

    def add(self, batch: pa.RecordBatch, ids: Hashes, labels: Labels | None = None) -> None:
        """Take answers: the columns `event_time`, the features and the outputs.

        Args:
            batch: n rows; a column that cannot be read is unknown from then on, with the reason.
            ids: the hashes of their ids, (n,) (`arrow.hash_ids`).
            labels: what came true; each id is met once in a window. None need be known of a
                density, whose rows came true themselves.

        """
        micros = read_micros(batch["event_time"])
        if not len(micros):
            return
        read = self._add_columns(batch, RowHours.of(micros))
        newest = int(micros.max())
        self.newest = newest if self.newest is None else max(self.newest, newest)
        self.ids.add(ids)
        self.contents.add(hash_rows([micros, *self._told(batch, read)]))
        truth, first = np.zeros(len(ids)), np.ones(len(ids), bool)
        if self.problem.labelled:
            truth, first = labels.find(ids) if labels else (np.full(len(ids), np.nan), ids != ids)
        self.labelled += int((~np.isnan(truth)).sum())
        self._add_outcomes(batch, micros, truth, first)

    def add_training(self, rows: pd.DataFrame) -> None:
        """Take training rows: the features, the outputs and `label` (NaN: none)."""
        batch = pa.RecordBatch.from_pandas(rows, preserve_index=False)
        self._add_columns(batch)
        truth = rows[LABEL].to_numpy("float64")
        known = ~np.isnan(truth)
        self.labelled += int(known.sum())
        self._add_outcomes(batch, np.zeros(len(rows), np.int64), truth, known)

    def merge(self, other: "WindowSketch") -> None:
        """Take what another one of the same features has seen, of other rows."""
        if (self.kind, list(self.columns)) != (other.kind, list(other.columns)):
            raise ValueError(
                f"a sketch of {', '.join(self.columns)} and one of {', '.join(other.columns)} "
                "have different columns: they do not merge"
            )
        for name, column in self.columns.items():
            column.merge(other.columns[name])  # type: ignore[arg-type]
        self.answers.merge(other.answers)
        self.outcomes.merge(other.outcomes)
        self.contents.merge(other.contents)
        self.ids.merge(other.ids)
        self.rows += other.rows
        self.labelled += other.labelled
        self.newest = max((t for t in (self.newest, other.newest) if t is not None), default=None)

    def _add_columns(
        self, batch: pa.RecordBatch, times: RowHours | None = None
    ) -> dict[str, Readable]:
        self.rows += len(batch)
        read: dict[str, Readable] = {}
        for name, sketch in self.columns.items():
            try:
                if name not in batch.schema.names:
                    raise UnreadableColumnError(f"no column {name!r} in what is to be compared")
                if isinstance(sketch, NumberSketch):
                    read[name] = numbers = read_numbers(batch[name])
                    sketch.add(numbers, times)
                else:
                    read[name] = texts = read_texts(batch[name])
                    sketch.add(texts)
            except UnreadableColumnError as error:
                sketch.rows += len(batch)
                sketch.fault = str(error)
        return read

    def _told(self, batch: pa.RecordBatch, read: dict[str, Readable]) -> list[Readable]:
        """Give what tells rows apart: the features that could be read, a tensor by its values."""
        told = [read[name] for name in self.features if name in read]
        for name in self.features:
            if name in batch.schema.names and is_tensor(batch[name].type):
                told += list(read_tensor(batch[name]).T)
        return told

    def _add_outcomes(
        self, batch: pa.RecordBatch, micros: npt.NDArray[np.int64], truth: Floats, at: Any
    ) -> None:
        """Score the rows `at`, (n,) of bool, which have a truth."""
        try:
            given = {name: _read_output(batch, name) for name in self.problem.outputs}
        except UnreadableColumnError as error:
            self.outcomes.fault = str(error)
            return
        said = self.problem.read(given)
        if self.problem.estimable:
            self.answers.add(said[:, 1])
        self.outcomes.add(self.problem, micros[at], said[at], truth[at])


def sketch_training(rows: pd.DataFrame, schema: Schema, kind: Kind) -> WindowSketch:
    """Sketch training rows: the features, the outputs and `label`."""
    sketch = WindowSketch.of(schema, kind)
    sketch.add_training(rows)
    return sketch


def _read_output(batch: pa.RecordBatch, name: str) -> Floats:
    if name not in batch.schema.names:
        raise UnreadableColumnError(f"no output {name!r} in what is to be compared")
    column = batch[name]
    try:
        return read_tensor(column) if is_tensor(column.type) else read_numbers(column)
    except UnreadableColumnError as error:
        raise UnreadableColumnError(f"{name}: {error}") from error


def _sketch_of(column: Column) -> ColumnSketch:
    if column.type == "string":
        return CategorySketch()
    return NumberSketch(
        low=-inf if column.min is None else column.min,
        high=inf if column.max is None else column.max,
    )
