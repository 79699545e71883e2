"""The folder of newest monitor runs in, Prometheus metrics out, read anew at every scrape.

What cannot be read is `relay_checks_up 0` and nothing else of that model: an old value must not
look like a fresh one. Labels are bounded: models, their checks and columns.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from monitoring.results import MonitorRun, Verdict, read_run

ABOUT = ("model", "version")
CHECK = ("model", "version", "check", "column")
VERDICTS: tuple[str, ...] = get_args(Verdict)


class ChecksCollector(Collector):
    """Reads `<folder>/<model>.json` for every model that has one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def describe(self) -> Iterable[Metric]:
        """Name nothing beforehand: registering must not read the files."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all runs that can be read, and who cannot be."""
        up = GaugeMetricFamily(
            "relay_checks_up", "1 if the model's newest monitor run could be read", labels=["model"]
        )
        runs = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                runs.append(_run_of(path))
                up.add_metric([path.stem], 1)
            except (OSError, ValueError):  # said by relay_checks_up 0
                up.add_metric([path.stem], 0)
        yield up
        yield from _run_metrics(runs)
        yield from _check_metrics(runs)
        yield from _retrain_metrics(runs)


def _run_of(path: Path) -> MonitorRun:
    """Read a run; ValueError for a copy under another name, whose series would come twice."""
    run = read_run(path)
    if run.model != path.stem:
        raise ValueError(f"{path} is a run of {run.model}")
    return run


def _run_metrics(runs: list[MonitorRun]) -> Iterator[Metric]:
    last = _gauge("relay_monitor_last_run_timestamp_seconds", "When the monitor ran", ABOUT)
    end = _gauge("relay_monitor_window_end_timestamp_seconds", "Event time judged up to", ABOUT)
    for run in runs:
        last.add_metric([run.model, run.version], run.run_time.timestamp())
        end.add_metric([run.model, run.version], run.window_end.timestamp())
    return iter([last, end])


def _check_metrics(runs: list[MonitorRun]) -> Iterator[Metric]:
    score = _gauge("relay_check_score", "What the check measured, in the check's own unit", CHECK)
    threshold = _gauge("relay_check_threshold", "The check alerts above it", CHECK)
    low = _gauge("relay_check_score_low", "Lower bound of an estimated score", CHECK)
    high = _gauge("relay_check_score_high", "Upper bound of an estimated score", CHECK)
    verdict = _gauge("relay_check_verdict", "1 for the verdict that holds", (*CHECK, "verdict"))
    for result in (result for run in runs for result in run.results):
        labels = [result.model, result.version, result.check, result.column or ""]
        _add(score, labels, result.score)
        _add(threshold, labels, result.threshold)
        _add(low, labels, result.low)
        _add(high, labels, result.high)
        for name in VERDICTS:
            verdict.add_metric([*labels, name], float(result.verdict == name))
    return iter([score, threshold, low, high, verdict])


def _retrain_metrics(runs: list[MonitorRun]) -> Iterator[Metric]:
    requested = _gauge("relay_retrain_requested", "1 if the newest run asked to retrain", ABOUT)
    budget = _gauge("relay_retrain_budget_left", "Retrainings that the policy still allows", ABOUT)
    cooldown = _gauge(
        "relay_retrain_cooldown_until_timestamp_seconds", "No retraining before (event time)", ABOUT
    )
    for run in runs:
        if run.retrain is None:
            continue
        labels = [run.model, run.version]
        requested.add_metric(labels, float(run.retrain.requested))
        until = run.retrain.cooldown_until
        _add(budget, labels, run.retrain.budget_left)
        _add(cooldown, labels, until.timestamp() if until else None)
    return iter([requested, budget, cooldown])


def _gauge(name: str, text: str, labels: tuple[str, ...]) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels)


def _add(gauge: GaugeMetricFamily, labels: list[str], number: float | None) -> None:
    """Add a sample; what is not known has none."""
    if number is not None:
        gauge.add_metric(labels, number)
