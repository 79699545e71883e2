"""Sources in, what all of them say at a scrape out; they are asked at the same time."""

import time
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from services.exporter.asking import Asked
from services.exporter.gauges import Sample, families


class SourcesCollector(Collector):
    """Answers within `deadline_seconds`; a source that has not answered by then is away."""

    def __init__(
        self, sources: Sequence[Asked], deadline_seconds: float, constant: Iterable[Sample] = ()
    ) -> None:
        self._sources = sources
        self._deadline_seconds = deadline_seconds
        self._constant = list(constant)

    def describe(self) -> Iterable[Metric]:
        """Name nothing beforehand: registering must not ask anybody."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the sources that could be read, and which could not be."""
        deadline = time.monotonic() + self._deadline_seconds
        begun = [(source, source.begin()) for source in self._sources]
        samples = list(self._constant)
        for source, asking in begun:
            samples += source.end(asking, deadline)
        return families(samples)
