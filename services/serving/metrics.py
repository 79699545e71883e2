"""What serving tells Prometheus: every metric of the server, on a registry that is given.

Labels are bounded: models, roles and versions that are loaded or were so lately, protocols, kinds
of error.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Set
from functools import cache

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_WRITE_SECONDS = (0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.01, 0.1, 1)
_GONE_VERSIONS = 20  # keep their series: what they counted last has yet to be scraped
_VERSION = ("model", "version")
Version = tuple[str, str]
Waiting = Mapping[Version, int]
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class _Queues(Collector):
    """Reads the queues when it is asked, so that requests pay nothing."""

    def __init__(self, metrics: "Metrics") -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Give the rows that wait, by version."""
        name = "relay_serving_waiting_rows"
        rows = GaugeMetricFamily(name, "Rows that wait to be computed", labels=_VERSION)
        for version, waiting in self._metrics.waiting().items():
            rows.add_metric(version, waiting)
        yield rows


class Metrics:
    """All metrics as attributes; a test makes its own with a fresh registry."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = to = registry or CollectorRegistry()
        ProcessCollector(registry=to)
        PlatformCollector(registry=to)
        GCCollector(registry=to)
        prefix = "relay_serving_"
        self.requests = Counter(
            prefix + "requests", "Answered requests", ["protocol", "model", "code"], registry=to
        )
        self.errors = Counter(
            prefix + "request_errors",
            "Requests refused or failed",
            ["protocol", "kind", "model"],
            registry=to,
        )
        self.latency = Histogram(
            prefix + "request_duration_seconds",
            "From a request's headers to its answer",
            ["protocol", "model", "version", "role"],
            buckets=_SECONDS,
            registry=to,
        )
        in_flight = Gauge(prefix + "in_flight", "Requests being answered", registry=to)
        self.open_requests = 0
        in_flight.set_function(lambda: self.open_requests)
        self.count = cache(self.requests.labels)  # to look a series up costs more than to count
        self.timer = cache(self.latency.labels)
        self._versions: dict[Version, None] = {}  # that may have series; last loaded, last here
        self.waiting: Callable[[], Waiting] = dict
        to.register(_Queues(self))
        self.predictions = Counter(
            prefix + "predictions", "Predicted rows", ["model", "version", "role"], registry=to
        )
        self.batch_rows = Histogram(
            prefix + "batch_rows",
            "Rows computed together",
            ["model"],
            buckets=_ROWS,
            registry=to,
        )
        self.log_seconds = Histogram(
            prefix + "prediction_log_write_seconds",
            "To put the records of a batch into the log, which its answers wait for",
            buckets=_WRITE_SECONDS,
            registry=to,
        )
        self.labels = Counter(
            prefix + "labels", "Labels taken", ["model", "prediction"], registry=to
        )
        self.log_failures = Counter(
            prefix + "prediction_log_failures",
            "Writes the prediction log did not take; what they were for was not answered",
            registry=to,
        )
        self.shadow_dropped = Counter(
            prefix + "shadow_dropped",
            "Requests the challenger was too slow for",
            ["model"],
            registry=to,
        )
        self.shadow_failures = Counter(
            prefix + "shadow_failures", "Requests the challenger failed on", ["model"], registry=to
        )
        self._swaps(prefix, to)

    def _swaps(self, prefix: str, to: CollectorRegistry) -> None:
        role = ["model", "role"]
        self.info = Gauge(
            prefix + "model_info",
            "1 for each version that is loaded",
            ["model", "version", "role", "run_id"],
            registry=to,
        )
        self.wanted = Gauge(prefix + "wanted_version", "What the registry says", role, registry=to)
        self.served = Gauge(prefix + "served_version", "What is loaded; 0: none", role, registry=to)
        self.swaps = Counter(prefix + "swaps", "Versions switched to", role, registry=to)
        self._canaries(prefix, to)
        self.load_failures = Counter(
            prefix + "load_failures", "Versions that did not load or check", role, registry=to
        )
        self.registry_up = Gauge(
            prefix + "registry_up", "1 while the last look at the registry worked", registry=to
        )
        age = Gauge(
            prefix + "registry_age_seconds",
            "Since the registry was last seen, or since the start",
            registry=to,
        )
        self.registry_seen = time.monotonic()
        age.set_function(lambda: time.monotonic() - self.registry_seen)

    def _canaries(self, prefix: str, to: CollectorRegistry) -> None:
        self.canary_share = Gauge(
            prefix + "canary_share",
            "The share of the keys that a canary answers; 0: withdrawn",
            ["model", "version"],
            registry=to,
        )
        self.canary_withdrawn = Counter(
            prefix + "canary_withdrawn",
            "Canaries that were worse than the champion, by what was worse",
            ["model", "reason"],
            registry=to,
        )
        self.canary_failures = Counter(
            prefix + "canary_failures",
            "Requests that a canary failed on, so that the champion answered them",
            ["model"],
            registry=to,
        )

    def keep(self, loaded: Set[Version]) -> None:
        """Drop the series of versions that are long gone, and of models that have no others.

        To be told whenever a version comes or goes. What is loaded loses nothing.
        """
        for version in loaded:
            self._versions.pop(version, None)
            self._versions[version] = None
        gone = [version for version in self._versions if version not in loaded]
        for model, number in gone[:-_GONE_VERSIONS]:
            del self._versions[model, number]
            for metric in (self.latency, self.predictions):
                metric.remove_by_labels({"model": model, "version": number})
            if all(model != other for other, _ in self._versions):
                self._drop_model(model)
            self.count.cache_clear()
            self.timer.cache_clear()

    def _drop_model(self, model: str) -> None:
        for metric in (
            self.requests,
            self.errors,
            self.batch_rows,
            self.labels,
            self.wanted,
            self.served,
            self.swaps,
            self.load_failures,
            self.shadow_dropped,
            self.shadow_failures,
            self.canary_withdrawn,
            self.canary_failures,
        ):
            metric.remove_by_labels({"model": model})

    def render(self) -> bytes:
        """Give all metrics in Prometheus' text format."""
        return generate_latest(self.registry)
