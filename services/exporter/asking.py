"""A source in; at each scrape its samples and how it is out, in time, whatever the source does.

A source is asked in a thread of its own, by one at a time: scrapes that come together share the
answer, and one that hangs holds up nobody else and leaves one thread waiting, not more and more.
"""

import logging
import re
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock, Thread

from services.exporter.gauges import Gauge, Sample
from services.exporter.source import Source, SourceAwayError

_log = logging.getLogger(__name__)

LONGEST = 10.0  # seconds: what took longer to read was perhaps so, but is not known to be so now

UP = Gauge("relay_exporter_source_up", "1 if all of it could be read, just now", ("source",))
SECONDS = Gauge("relay_exporter_source_seconds", "How long reading it took, or takes", ("source",))
READ = Gauge(
    "relay_exporter_source_read_timestamp_seconds",
    "When the values that are shown were asked for",
    ("source",),
)


@dataclass(frozen=True)
class Reading:
    """All samples of a source, and how many seconds it took to read them."""

    samples: list[Sample]
    seconds: float


@dataclass(frozen=True)
class Asking:
    """One look at a source, begun at a time (Unix, and by the clock that never jumps)."""

    reading: "Future[Reading]" = field(default_factory=Future)
    begun_at: float = field(default_factory=time.time)
    begun: float = field(default_factory=time.monotonic)

    @property
    def age(self) -> float:
        """Seconds since it was begun."""
        return time.monotonic() - self.begun

    def read(self, source: Source) -> None:
        """Read the source to the end."""
        try:
            samples = list(source.read())
            if self.age > LONGEST:
                raise SourceAwayError(f"it took {self.age:.0f} s to read, which is too long")
            self.reading.set_result(Reading(samples, self.age))
        except Exception as error:  # noqa: BLE001  the thread's end: who waits is told of it
            self.reading.set_exception(error)


class Asked:
    """A source that is asked when what it said last is older than `fresh_seconds`."""

    def __init__(self, source: Source, fresh_seconds: float = 0) -> None:
        self._source = source
        self._fresh_seconds = fresh_seconds
        self._lock = Lock()
        self._newest: Asking | None = None
        self._why_away = ""

    def begin(self) -> Asking:
        """Ask, or join an asking that is under way or fresh."""
        with self._lock:
            newest = self._newest
            if newest is None or (newest.reading.done() and newest.age >= self._fresh_seconds):
                self._newest = newest = Asking()
                Thread(target=newest.read, args=(self._source,), daemon=True).start()
            return newest

    def end(self, asking: Asking, deadline: float) -> Iterator[Sample]:
        """Wait until the deadline (monotonic); give all samples, or none and that it is away."""
        name = self._source.name
        error = _error(asking, deadline)
        self._tell(error)
        yield UP(error is None, name)
        if error:
            yield SECONDS(asking.age, name)
            return
        reading = asking.reading.result()
        yield SECONDS(reading.seconds, name)
        yield READ(asking.begun_at, name)
        yield from reading.samples

    def _tell(self, error: BaseException | None) -> None:
        """Log why a source is away, and when it is back; once, not at every scrape."""
        why = _in_words(error) if error else ""
        with self._lock:
            before, self._why_away = self._why_away, why
        if why and why != before:
            bug = None if isinstance(error, SourceAwayError) else error
            _log.warning("%s is away: %s", self._source.name, why, exc_info=bug)
        if before and not why:
            _log.warning("%s is back", self._source.name)


def _error(asking: Asking, deadline: float) -> BaseException | None:
    try:
        return asking.reading.exception(max(0, deadline - time.monotonic()))
    except TimeoutError:
        return SourceAwayError("it has not answered in time")


def _in_words(error: BaseException) -> str:
    """Say what is wrong, without passwords that stand in addresses."""
    said = str(error) if isinstance(error, SourceAwayError) else repr(error)
    return re.sub("//[^/@\\s]*@", "//", said)
