"""What a source of the exporter is: somebody else's state in, samples out."""

from collections.abc import Iterable
from typing import Protocol

from services.exporter.gauges import Sample


class SourceAwayError(Exception):
    """A source could not be read as a whole; the text says why, and the way out where we know."""


class Source(Protocol):
    """Asked anew each time, by one thread at a time; it keeps no values of its own."""

    name: str

    def read(self) -> Iterable[Sample]:
        """Give everything, or raise `SourceAwayError`; what was given before that is dropped."""
