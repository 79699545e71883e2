"""Samples in, Prometheus' metric families out; a gauge knows its name, its text and its labels."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily


@dataclass(frozen=True)
class Gauge:
    """A metric that goes up and down; calling it gives a sample of it."""

    name: str
    about: str
    labels: tuple[str, ...] = ()

    def __call__(self, value: float, *labels: str) -> "Sample":
        """Give a sample; ValueError where the labels are not as many as the gauge's."""
        if len(labels) != len(self.labels):
            raise ValueError(f"{self.name} has the labels {self.labels}, not {labels}")
        return Sample(self, tuple(_printable(label) for label in labels), float(value))


class Sample(NamedTuple):
    """What one time series is worth now."""

    gauge: Gauge
    labels: tuple[str, ...]
    value: float


def states(gauge: Gauge, names: Iterable[str], now: str, *labels: str) -> Iterator[Sample]:
    """Give a sample for each state, the gauge's last label: 1 for the one that holds, else 0.

    A state that is not among the names holds, too, where a source says so.
    """
    for name in dict.fromkeys((*names, now)):
        yield gauge(name == now, *labels, name)


def families(samples: Iterable[Sample]) -> Iterator[GaugeMetricFamily]:
    """Put each gauge's samples together; of two of one series the later stays."""
    newest = {(sample.gauge, sample.labels): sample.value for sample in samples}
    found: dict[Gauge, GaugeMetricFamily] = {}
    for (gauge, labels), value in newest.items():
        if gauge not in found:
            found[gauge] = GaugeMetricFamily(gauge.name, gauge.about, labels=gauge.labels)
        found[gauge].add_metric(labels, value)
    return iter(found.values())


def _printable(label: str) -> str:
    """Replace what UTF-8 cannot write, such as bytes in a file's name: it would end the scrape."""
    return label.encode(errors="replace").decode()
