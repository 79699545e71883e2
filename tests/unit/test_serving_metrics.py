"""The metrics of serving, and the page that lists them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from monitoring.prediction_log import PredictionLog, Role
from services.serving.metrics import Metrics
from services.serving.models.loading import Loaded, load
from services.serving.models.signature import Columns
from services.serving.predictor import Limits, Predictor, VersionRef
from services.serving.queries import Query
from services.serving.settings import Settings
from services.serving.versions.catalog import Alias, Catalog
from tests.programs import ROOT
from tests.small_models import small_model

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


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    """A model that takes and gives what `small_model` does."""
    types = {"carrier": "string", "hour": "long", "temp": "double"}
    inputs = [{"name": name, "type": kind, "required": True} for name, kind in types.items()]
    signature = {
        "inputs": json.dumps(inputs),
        "outputs": json.dumps([{"name": "probability", "type": "float"}]),
    }
    flavors = {"onnx": {"data": "model.onnx"}, "python_function": {"loader_module": "mlflow.onnx"}}
    described = {"flavors": flavors, "signature": signature, "run_id": "r"}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump(described))
    onnx.save(small_model(), tmp_path / "model.onnx")
    return load(tmp_path)


class Swaps:
    """A catalog whose models swap; every version that comes answers in the role that is given."""

    def __init__(self, loaded: Loaded, log: PredictionLog) -> None:
        self.metrics = Metrics()
        self.catalog = Catalog(self.metrics)
        self._loaded, self._log = loaded, log

    def to(self, model: str, version: int, alias: Alias, role: Role) -> Predictor:
        ref = VersionRef(model, str(version), 0)
        predictor = Predictor(ref, self._loaded, self._log, self.metrics, Limits())
        self.catalog.switch(alias, predictor)
        self.answer(predictor, role)
        return predictor

    def answer(self, predictor: Predictor, role: Role) -> None:
        ref = predictor.ref
        columns: Columns = {"carrier": ["UA"], "hour": [6], "temp": [31.5]}
        predictor.answer([Query("a", columns, 1)], role)
        if role != "shadow":
            self.metrics.timer("v2", ref.model, ref.version, role).observe(0.1)
            self.metrics.count("v2", ref.model, 200).inc()

    def series(self, name: str = "predictions_total") -> dict[tuple[str, str], float]:
        text = self.metrics.render().decode()
        found = re.findall(rf"^relay_serving_{name}{{([^}}]*)}} (\S+)$", text, re.MULTILINE)
        values = {}
        for labels, value in found:
            named = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            values[named["model"], named.get("version", "")] = float(value)
        return values


@pytest.fixture
def swaps(loaded: Loaded, tmp_path: Path) -> Iterator[Swaps]:
    log = PredictionLog(tmp_path / "log")
    yield Swaps(loaded, log)
    log.close()


def test_versions_that_only_shadow_leave_no_series_for_good(swaps: Swaps) -> None:
    champion = swaps.to("flights", 1, "champion", "champion")
    for version in range(2, 100):
        swaps.to("flights", version, "challenger", "shadow")
        swaps.answer(champion, "champion")
    series = swaps.series()
    newest = {("flights", str(version)) for version in range(79, 100)}  # 99 is loaded, 20 were so
    assert series.keys() == {("flights", "1"), *newest}
    assert series["flights", "1"] == 99  # no count of what serves has begun anew


def test_a_model_that_is_gone_leaves_no_series_for_good(swaps: Swaps) -> None:
    champion = swaps.to("flights", 1, "champion", "champion")
    for number in range(60):
        swaps.to(f"brief-{number}", 1, "champion", "champion")
        swaps.catalog.withdraw(f"brief-{number}", "champion")
        swaps.answer(champion, "champion")
    here = {"flights", *(f"brief-{number}" for number in range(40, 60))}
    for name in ("predictions_total", "request_duration_seconds_count", "requests_total"):
        series = swaps.series(name)
        assert {model for model, _ in series} == here, name
        assert sum(n for (model, _), n in series.items() if model == "flights") == 61
    assert {model for model, _ in swaps.series("swaps_total")} == here
    assert {model for model, _ in swaps.series("batch_rows_count")} == here


def test_what_is_loaded_under_the_other_alias_stays(swaps: Swaps) -> None:
    old = swaps.to("flights", 1, "champion", "champion")
    swaps.catalog.switch("challenger", old)
    for version in range(2, 60):
        swaps.to("flights", version, "champion", "champion")
    assert swaps.series()["flights", "1"] == 1
    swaps.catalog.withdraw("flights", "challenger")
    assert swaps.series()["flights", "1"] == 1  # until it has been scraped
