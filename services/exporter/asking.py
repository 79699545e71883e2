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

UP = Gauge("relay_exporter_source_up", "1 if all of it could be read, just now", ("source",))
SECONDS = Gauge("relay_exporter_source_seconds", "How long reading it took, or takes", ("source",))
READ = Gauge(
    "relay_exporter_source_read_timestamp_seconds",
    "When the values that are shown were asked for",
    ("source",),
)


@dataclass
class Asking:
    """One look at a source, begun at a time (Unix, and by the clock that never jumps)."""

    samples: "Future[list[Sample]]" = field(default_factory=Future)
    begun_at: float = field(default_factory=time.time)
    begun: float = field(default_factory=time.monotonic)
    took: float | None = None

    @property
    def age(self) -> float:
        """Seconds since it was begun."""
        return time.monotonic() - self.begun

    def read(self, source: Source, longest: float) -> None:
        """Read the source to the end; what took too long may be true no more."""
        try:
            samples = list(source.read())
            self.took = self.age
            if self.took > longest:
                raise SourceAwayError(f"reading it took {self.took:.0f} s, {longest:g} are allowed")
            self.samples.set_result(samples)
        except Exception as error:  # noqa: BLE001  the thread's end: who waits is told of it
            self.took = self.age
            self.samples.set_exception(error)


class Asked:
    """A source that is asked when what it said last is `fresh_seconds` old.

    What it says is never older, when it is shown, than that or `longest_seconds`, which is for how
    long it may be read.
    """

    def __init__(self, source: Source, longest_seconds: float, fresh_seconds: float = 0) -> None:
        self._source = source
        self._longest_seconds = max(longest_seconds, fresh_seconds)
        self._fresh_seconds = fresh_seconds
        self._lock = Lock()
        self._newest: Asking | None = None
        self._why_away = ""

    def begin(self) -> Asking:
        """Ask, or join an asking that is under way or fresh."""
        with self._lock:
            newest = self._newest
            if newest is None or (newest.samples.done() and newest.age >= self._fresh_seconds):
                self._newest = newest = Asking()
                given = (self._source, self._longest_seconds)
                Thread(target=newest.read, args=given, daemon=True).start()
            return newest

    def end(self, asking: Asking, deadline: float) -> Iterator[Sample]:
        """Wait until the deadline (monotonic); give all samples, or none and that it is away."""
        name = self._source.name
        error = _error(asking, deadline)
        self._tell(error)
        yield UP(error is None, name)
        yield SECONDS(asking.age if asking.took is None else asking.took, name)
        if error is None:
            yield READ(asking.begun_at, name)
            yield from asking.samples.result()

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
        return asking.samples.exception(max(0, deadline - time.monotonic()))
    except TimeoutError:
        return SourceAwayError("it has not answered in time")


def _in_words(error: BaseException) -> str:
    """Say what is wrong, without passwords that stand in addresses."""
    said = str(error) if isinstance(error, SourceAwayError) else repr(error)
    return re.sub("//[^/@\\s]*@", "//", said)
