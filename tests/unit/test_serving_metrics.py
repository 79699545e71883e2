"""The metrics of serving, and the page that lists them."""

import re

import pytest
from prometheus_client.metrics import MetricWrapperBase

from services.serving.metrics import Metrics
from services.serving.settings import Settings
from tests.programs import ROOT

PAGE = (ROOT / "docs/serving.md").read_text()


def exported() -> dict[str, set[str]]:
    """Every metric of ours by the name that a query uses, with its labels."""
    metrics = Metrics()
    metrics.waiting = lambda: {("flights", "1"): 0}
    labels = {
        each._name: set(each._labelnames)
        for each in vars(metrics).values()
        if isinstance(each, MetricWrapperBase)
    }
    return {
        family.name + "_total" * (family.type == "counter"): labels.get(family.name)
        or {name for sample in family.samples for name in sample.labels} - {"le"}
        for family in metrics.registry.collect()
        if family.name.startswith("relay_")
    }


def test_the_page_lists_every_metric_and_no_other() -> None:
    rows = re.findall(r"^\| `(relay_\w+)` \| ([\w, ]*)\|", PAGE, re.MULTILINE)
    listed = {name: set(filter(None, re.split(r"[, ]+", labels))) for name, labels in rows}
    assert listed == exported()


def test_the_page_lists_every_setting_and_no_other() -> None:
    table = PAGE.partition("## Settings")[2].partition("## Tokens")[0]
    listed = set(re.findall(r"`(RELAY_\w+)`", table))
    assert listed == {f"RELAY_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("model", ["a", "b"])
def test_only_the_newest_versions_have_series(model: str) -> None:
    metrics = Metrics()
    for version in map(str, range(100)):
        metrics.predictions.labels(model, version, "champion").inc()
        metrics.timer("v2", model, version, "champion").observe(0.1)
        metrics.timer("v2", model, "0", "champion").observe(0.1)
    text = metrics.render().decode()
    for name in ("predictions_total", "request_duration_seconds_count"):
        versions = set(re.findall(rf'{name}{{[^}}]*version="(\d+)"', text))
        assert len(versions) <= 20
        assert "99" in versions
