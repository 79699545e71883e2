"""The metrics and settings of the exporter, and the page that lists them."""

import importlib
import pkgutil
import re

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry

from services import exporter
from services.exporter.collector import SourcesCollector
from services.exporter.gauges import Gauge, Sample
from services.exporter.settings import ExporterSettings
from tests.programs import ROOT

PAGE = (ROOT / "docs/metrics.md").read_text()
TABLES = PAGE.partition("## The exporter")[2].partition("## The page")[0]


def gauges() -> list[Gauge]:
    """Every metric that a module of the exporter names."""
    names = [each.name for each in pkgutil.iter_modules(exporter.__path__)]
    modules = [importlib.import_module(f"services.exporter.{name}") for name in names]
    return [each for module in modules for each in vars(module).values() if isinstance(each, Gauge)]


def scraped(*samples: Sample) -> list[tuple[str, dict[str, str], float]]:
    registry = CollectorRegistry()
    registry.register(SourcesCollector([], 1, samples))
    text = generate_latest(registry).decode()
    families = text_string_to_metric_families(text)
    return [(each.name, each.labels, each.value) for family in families for each in family.samples]


def test_the_page_lists_every_metric_and_no_other() -> None:
    rows = re.findall(r"^\| `(relay_\w+)` \| ([\w, ]*)\|", TABLES, re.MULTILINE)
    listed = {name: tuple(filter(None, re.split(r"[, ]+", labels))) for name, labels in rows}
    assert listed == {gauge.name: gauge.labels for gauge in gauges()}
    assert len(rows) == len(listed) == len(gauges())


def test_the_page_lists_every_setting_and_no_other() -> None:
    table = TABLES.partition("### Settings")[2]
    listed = set(re.findall(r"`(RELAY_\w+)`", table))
    assert listed == {f"RELAY_{name.upper()}" for name in ExporterSettings.model_fields}


def test_a_sample_has_the_labels_of_its_gauge() -> None:
    gauge = Gauge("relay_a", "a", ("model", "alias"))
    assert scraped(gauge(1, "flights", "champion")) == [
        ("relay_a", {"model": "flights", "alias": "champion"}, 1)
    ]
    with pytest.raises(ValueError, match="relay_a has the labels"):
        gauge(1, "flights")


def test_no_series_comes_twice_and_no_label_ends_the_scrape() -> None:
    gauge = Gauge("relay_a", "a", ("model",))
    odd = 'a\udcff"\n\\'
    found = scraped(gauge(1, "flights"), gauge(2, "flights"), gauge(3, odd))
    assert found == [("relay_a", {"model": "flights"}, 2), ("relay_a", {"model": 'a?"\n\\'}, 3)]
