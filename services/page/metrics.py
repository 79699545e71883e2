"""What the page tells Prometheus about itself, on a registry that is given."""

from prometheus_client import CollectorRegistry, Counter, ProcessCollector, generate_latest


class Metrics:
    """All metrics as attributes. Labels are bounded: routes, status codes, outcomes."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = to = registry or CollectorRegistry()
        ProcessCollector(registry=to)
        self.requests = Counter(
            "relay_page_requests", "Answered requests", ["route", "code"], registry=to
        )
        self.notifications = Counter(
            "relay_page_notifications",
            "Alertmanager's notifications: kept in the trail, refused, or failed to be written",
            ["outcome"],
            registry=to,
        )
        for outcome in ("kept", "refused", "failed"):
            self.notifications.labels(outcome)

    def render(self) -> bytes:
        """Give all metrics in Prometheus' text format."""
        return generate_latest(self.registry)
