"""A checked question on its way to a model: rows in columns, the id and time it goes by."""

import os
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from numpy.typing import NDArray

from services.serving.errors import RequestError, shown
from services.serving.models.signature import Columns

Outputs = dict[str, NDArray[Any]]
MAX_ID_CHARACTERS = 256
_ROW_OR_UNPRINTABLE = re.compile(r"/\d+$|[^\x20-\x7e]")  # an id is a header's value, too
EVENT_YEARS = range(1900, 2200)  # readers keep nanoseconds in 64 bits, which end in 2262


@dataclass(slots=True)
class Query:
    """One request's rows; `event_time` is what they are about, None for now.

    `key` is what a canary's share is drawn by: the same key gets the same version.
    """

    id: str
    columns: Columns
    rows: int
    event_time: datetime | None = None
    key: str = ""
    wanted_outputs: tuple[str, ...] = ()
    received: float = field(default_factory=time.perf_counter)


def checked_id(given: str | None) -> str:
    """Give a request its id, a new one where it brought none."""
    if not given:
        return os.urandom(16).hex()
    if len(given) > MAX_ID_CHARACTERS:
        message = f"id has {len(given)} characters, want at most {MAX_ID_CHARACTERS}"
        raise RequestError(400, message, "id")
    if _ROW_OR_UNPRINTABLE.search(given):
        message = f"id: got {shown(given)}, want printable ASCII that does not end in /<number>, "
        raise RequestError(400, message + "which names a row of a request", "id")
    return given


def checked_time(given: object, name: str) -> datetime:
    """Read an ISO 8601 time that names its zone. Gives UTC."""
    try:
        when = datetime.fromisoformat(given) if isinstance(given, str) else None
        if when is not None and when.tzinfo is not None and when.year in EVENT_YEARS:
            return when.astimezone(UTC)
    except ValueError:
        pass  # said below, with the value
    years = f"from {EVENT_YEARS[0]} to {EVENT_YEARS[-1]}"
    wanted = f"a time like 2013-07-01T12:00:00Z, with its zone, {years}"
    raise RequestError(400, f"{name}: got {shown(given)}, want {wanted}", name)
