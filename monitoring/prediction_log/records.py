"""What serving says of a request in, what a reader gets of a row out: the log's own types."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Columns = Mapping[str, list[Any] | NDArray[Any]]
else:
    Columns = dict[str, Any]

Role = Literal["champion", "challenger", "shadow"]
LOG_COLUMNS = ("id", "time", "event_time", "version", "role", "latency_seconds")


class PredictionRecord(msgspec.Struct, frozen=True, array_like=True):
    """The answered rows of one request, by column; answered at `time`, about `event_time` (UTC).

    A column is a list of `rows` values (None: missing) or an array of shape (rows, ...).
    """

    id: str
    rows: int
    time: datetime
    event_time: datetime
    model: str
    version: str
    role: Role
    features: Columns
    output: Columns
    latency_seconds: float

    def row_ids(self) -> list[str]:
        """Name the rows: a lone one by the request's id, else `<id>/<row>`."""
        return [self.id] if self.rows == 1 else [f"{self.id}/{row}" for row in range(self.rows)]


class Prediction(msgspec.Struct, frozen=True):
    """One answered row as a reader sees it, in plain Python values."""

    id: str
    time: datetime
    event_time: datetime
    model: str
    version: str
    role: Role
    features: dict[str, Any]
    output: dict[str, Any]
    latency_seconds: float


class Label(msgspec.Struct, frozen=True):
    """The truth about the row `id`, known since `time` (UTC)."""

    id: str
    label: float
    time: datetime
