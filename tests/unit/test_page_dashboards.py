"""Whatever the project's dashboards use, the page knows: nothing is drawn in Grafana alone."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.page.dashboards import find_dashboard, list_dashboards
from tests.programs import ROOT

FOLDER = ROOT / "grafana" / "dashboards"
STATIC = ROOT / "services" / "page" / "static"
DASHBOARDS = sorted(FOLDER.glob("*.json"))
VARIABLES = {"query", "custom", "constant", "interval", "textbox", "datasource"}
MATCHERS = {"byName", "byNames", "byRegexp", "byType", "byFrameRefID"}


def keys(file: str, begin: str) -> set[str]:
    """The keys of one object literal in a script of ours."""
    text = (STATIC / file).read_text()
    literal = text[text.index(begin) :].partition("\n}")[0]
    named = re.findall(r"(?:^\s*|[,{] )'?([\wµ-]+)'?(?:: |,\n)", literal, re.MULTILINE)
    return {name for name in named if name != "const"}


KINDS = keys("panels/kinds.js", "export const KINDS") | {"row"}
TRANSFORMATIONS = keys("transformations.js", "const TRANSFORMATIONS")
UNITS = keys("units.js", "const FORMS")
CALCULATIONS = keys("fields.js", "const known = {")


def test_what_the_page_knows_is_read_rightly() -> None:
    assert {"stat", "timeseries", "state-timeline", "table"} <= KINDS
    assert {"merge", "organize"} <= TRANSFORMATIONS
    assert {"s", "reqps", "percentunit", "dateTimeFromNow", "bytes", "none"} <= UNITS
    assert {"lastNotNull", "mean", "max"} <= CALCULATIONS
    assert not {"piechart", "seconds", "median"} & (KINDS | UNITS | CALCULATIONS)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: str(path.stem))
def test_the_page_knows_all_that_a_dashboard_uses(path: Path) -> None:
    content = json.loads(path.read_text())
    for panel in panels(content):
        title, config = panel.get("title"), panel.get("fieldConfig", {})
        assert panel["type"] in KINDS, title
        assert {one["id"] for one in panel.get("transformations", [])} <= TRANSFORMATIONS, title
        assert {unit for unit in units(config) if ":" not in unit} <= UNITS, title
        assert set(calculations(panel)) <= CALCULATIONS, title
        assert {one["matcher"]["id"] for one in config.get("overrides", [])} <= MATCHERS, title
        assert "repeat" not in panel, title
    for variable in content.get("templating", {}).get("list", []):
        assert variable["type"] in VARIABLES, variable["name"]


def panels(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in content["panels"]:
        yield panel
        yield from panel.get("panels") or []


def units(config: dict[str, Any]) -> Iterator[str]:
    if unit := config.get("defaults", {}).get("unit"):
        yield unit
    for override in config.get("overrides", []):
        yield from (one["value"] for one in override["properties"] if one["id"] == "unit")


def calculations(panel: dict[str, Any]) -> list[str]:
    options = panel.get("options", {})
    reduced = options.get("reduceOptions", {}).get("calcs", [])
    return [*reduced, *options.get("legend", {}).get("calcs", [])]


def test_the_lap_stands_first_and_others_are_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for uid, title in (("a", "A"), ("relay-lap", "The lap")):
        text = json.dumps({"uid": uid, "title": title, "panels": []})
        (tmp_path / f"{uid}.json").write_text(text)
    (tmp_path / "other.json").write_text("[]")
    (tmp_path / "half.json").write_text('{"uid": "half", "pan')
    (tmp_path / "latin.json").write_bytes(b'{"uid": "\xe9"}')
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere.json")
    assert [one.uid for one in list_dashboards(tmp_path)] == ["relay-lap", "a"]
    told = [record.getMessage() for record in caplog.records]
    for text, name in zip(told, ("gone", "half", "latin"), strict=True):
        assert text.startswith(f"{tmp_path}/{name}.json is no dashboard: ")
    assert find_dashboard(tmp_path, "a") is not None
    assert find_dashboard(tmp_path, "b") is None
    assert list_dashboards(tmp_path / "nowhere") == []
