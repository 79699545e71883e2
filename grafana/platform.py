"""Platform: are the programs up, do they have disk and memory, and can alerts be told?"""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.alerts import alerts
from grafana.board import board, shelf
from grafana.panels import (
    ANY_IS_BAD,
    Panel,
    Texts,
    bars,
    lines,
    now,
    number,
    query,
    timeline,
)

UP: Texts = {1: ("up", "green"), 0: ("away", "red")}


def platform() -> Dashboard:
    """Arrange the page: what is away, then disk, memory, processors, the watchers themselves."""
    return board(
        "relay-platform",
        "Platform",
        "Is the ground firm? Programs, sources, disks, and the watchers themselves.",
        shelf(4, (3, _away()), (3, _sources_away()), (5, _disk()), (4, _firing()), (9, _lost())),
        shelf(8, (12, _targets()), (12, _sources()), title="Up or away"),
        shelf(8, (8, _memory()), (8, _processors()), (8, _free()), title="What they use"),
        shelf(8, (8, _scrapes()), (8, _asking()), (8, _samples()), title="The watchers"),
        shelf(7, (24, alerts())),
        model_free=True,
    )


def _away() -> Panel:
    return number(
        "Programs away",
        "That Prometheus cannot scrape. Restart it, or mend its address in targets/; meanwhile its "
        "numbers are gaps, not zeros.",
        now("count(up == 0) or vector(0)"),
        steps=ANY_IS_BAD,
    )


def _sources_away() -> Panel:
    return number(
        "Sources away",
        "That the exporter could not ask. Its log says why; what it tells of that source is "
        "missing until then.",
        now("count(relay_exporter_source_up == 0) or vector(0)"),
        steps=ANY_IS_BAD,
    )


def _disk() -> Panel:
    return bars(
        "Disk used",
        "Full means no predictions: serving answers 503 when it cannot log. Delete old runs and "
        "reports, or grow the volume.",
        now(
            "1 - max by (volume) (relay_disk_free_bytes) / max by (volume) (relay_disk_size_bytes)",
            "{{volume}}",
        ),
        unit="percentunit",
        steps=((0.9, "orange"), (0.97, "red")),
        top=1,
    )


def _firing() -> Panel:
    return number(
        "Alerts, by severity",
        "By severity. A page wants somebody now, a ticket this week; the list at the end names "
        "them.",
        now('count by (severity) (ALERTS{alertstate="firing",severity!="none"})', "{{severity}}"),
        empty="none",
        link=("alerts", "${page}/alerts"),
    )


def _lost() -> Panel:
    return number(
        "Alerts lost",
        "In the time range: notifications that could not be delivered, and rules that failed. Look "
        "at Alertmanager's or Prometheus' log and the receivers' addresses.",
        now("sum(increase(alertmanager_notifications_failed_total[$__range]))", "undelivered"),
        now("sum(increase(prometheus_notifications_dropped_total[$__range]))", "dropped"),
        now("sum(increase(prometheus_rule_evaluation_failures_total[$__range]))", "failed rules"),
        now(
            'sum(increase(relay_page_notifications_total{outcome!="kept"}[$__range]))',
            "not written",
        ),
        steps=ANY_IS_BAD,
        decimals=0,
        link=("Alertmanager", "${alertmanager}"),
    )


def _targets() -> Panel:
    return timeline(
        "Programs",
        "Red: the program did not answer that scrape. All red at once: the machine or the network.",
        query("min by (job) (up)", "{{job}}"),
        texts=UP,
        link=("Prometheus", "${prometheus}/targets"),
    )


def _sources() -> Panel:
    return timeline(
        "What the exporter asks",
        "Red: that source failed or was too slow. Only one: that program; all: the exporter's "
        "machine.",
        query("min by (source) (relay_exporter_source_up)", "{{source}}"),
        texts=UP,
    )


def _memory() -> Panel:
    return lines(
        "Memory",
        "Grows with the models that are loaded, then stays. A line that climbs for days leaks: "
        "restart that program and report it.",
        query("max by (job) (process_resident_memory_bytes)", "{{job}}"),
        unit="bytes",
    )


def _processors() -> Panel:
    return lines(
        "Processors",
        "Cores that each program keeps busy. Serving at a whole core: add a replica.",
        query("sum by (job) (rate(process_cpu_seconds_total[$__rate_interval]))", "{{job}}"),
        unit="short",
    )


def _free() -> Panel:
    return lines(
        "Disk free",
        "The slope says when it is full. Steep: see what writes; logs of predictions grow with the "
        "traffic.",
        query("min by (volume) (relay_disk_free_bytes)", "{{volume}}"),
        unit="bytes",
    )


def _scrapes() -> Panel:
    return lines(
        "How long scrapes take",
        "Near to the scrape interval data is lost: see which source is slow in the panel beside.",
        query("max by (job) (scrape_duration_seconds)", "{{job}}"),
        unit="s",
    )


def _asking() -> Panel:
    return lines(
        "How long sources take",
        "From the exporter's side. One that climbs to its time limit will be away soon.",
        query("max by (source) (relay_exporter_source_seconds)", "{{source}}"),
        unit="s",
    )


def _samples() -> Panel:
    return lines(
        "Samples a scrape",
        "Climbs with models and columns; 10,000 is a lot. A jump: some label is not bounded; "
        "Prometheus' own status page names the metric.",
        query("sum by (job) (scrape_samples_scraped)", "{{job}}"),
        stacked=True,
    )
