"""Dashboards, rules and exporters agree: what is shown is exported, what is exported is used."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry

from grafana.__main__ import write
from grafana.queries import fill, panels, queries
from services.page.facts import EXPRESSIONS
from services.page.metrics import Metrics as PageMetrics
from services.serving.metrics import Metrics as ServingMetrics

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "grafana/dashboards").glob("*.json"))
DASHBOARDS = [json.loads(path.read_text()) for path in FILES]
UIDS = {board["uid"] for board in DASHBOARDS}
RULES = sorted((ROOT / "monitoring/prometheus/rules").glob("*.yml"))
KINDS = {"row", "stat", "timeseries", "table", "bargauge", "state-timeline", "heatmap"}
ANY = {"model": "flights", "version": ".*"}
UIS = ("page", "airflow", "mlflow", "evidently", "prometheus", "alertmanager")
ADDRESSES = {name: f"http://{name}" for name in UIS}
OF_THE_TOOLS = re.compile(
    "up|ALERTS|(scrape|process|python|prometheus|alertmanager|go)_[a-z_]+"
)  # what Prometheus, Alertmanager and the client library export by themselves


def metrics_of(expression: str) -> set[str]:
    """Collect the metrics that an expression asks for, as Prometheus' own grammar reads it."""
    found: set[str] = set()

    def visit(node: promql_parser.Expr) -> bool:
        selector = getattr(node, "vector_selector", node)
        if isinstance(selector, promql_parser.VectorSelector):
            assert selector.name, f"a selector without a metric's name in: {expression}"
            found.add(selector.name)
        return True

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def rules() -> Iterator[dict[str, Any]]:
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]


def asked_besides(board: dict[str, Any]) -> Iterator[str]:
    """Give the expressions of a dashboard's variables and annotations."""
    for variable in board["templating"]["list"]:
        asked = fill(variable["query"]["query"], ANY)
        yield re.fullmatch(r"label_values\((.+), \w+\)|query_result\((.+)\)", asked).expand(r"\1\2")  # type: ignore[union-attr]
    for annotation in board.get("annotations", {}).get("list", []):
        yield fill(annotation["expr"], ANY)


def shown(board: dict[str, Any]) -> set[str]:
    expressions = [expr for _, expr in queries(board, ANY)] + list(asked_besides(board))
    return set().union(*map(metrics_of, expressions))


def names_of(registry: CollectorRegistry) -> set[str]:
    """Name the series of all metrics that a registry has, or would have once there are labels."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    return {
        metric.name + suffix
        for metric in registry.collect()
        for suffix in suffixes.get(metric.type, ("",))
    }


def named_in(folder: Path) -> set[str]:
    """Collect every string that is a metric's name in a room's code."""
    constants = (
        node.value
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return {text for text in constants if re.fullmatch("relay_[a-z_]+", text)}


RECORDED = {rule["record"] for rule in rules() if "record" in rule}
OURS = (
    {name for name in names_of(ServingMetrics().registry) if name.startswith("relay_")}
    | {name for name in names_of(PageMetrics().registry) if name.startswith("relay_")}
    | named_in(ROOT / "services/exporter")
)
RULED = set().union(*(metrics_of(rule["expr"]) for rule in rules()))


@pytest.mark.parametrize("board", DASHBOARDS, ids=lambda board: str(board["uid"]))
def test_each_metric_of_a_dashboard_is_exported_by_something(board: dict[str, Any]) -> None:
    asked = {name for name in shown(board) if not OF_THE_TOOLS.fullmatch(name)}
    assert asked <= OURS | RECORDED


def test_each_metric_of_a_rule_is_exported_by_something() -> None:
    assert {name for name in RULED if not OF_THE_TOOLS.fullmatch(name)} <= OURS | RECORDED


WRITTEN = [
    ROOT / "README.md",
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / "docs/runbooks").glob("*.md"),
]


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.name))
def test_each_metric_that_people_read_of_is_exported_by_something(path: Path) -> None:
    named = set(re.findall("[a-z_:]*relay[_:][a-z0-9_:]+", path.read_text()))
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in OURS}
    assert named <= OURS | RECORDED | families


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_each_metric_of_the_front_page_is_exported_by_something(name: str) -> None:
    asked = {name for name in metrics_of(EXPRESSIONS[name]) if not OF_THE_TOOLS.fullmatch(name)}
    assert asked <= OURS | RECORDED


def test_each_metric_that_is_exported_is_used_or_documented() -> None:
    documents = "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    documented = set(re.findall("relay_[a-z_]+", documents))
    base = {re.sub("_(bucket|sum|count)$", "", name) for name in documented} | documented
    used = RULED.union(*map(shown, DASHBOARDS))
    left = {name for name in OURS if re.sub("_(bucket|sum|count)$", "", name) not in base}
    assert left <= used


def test_the_committed_dashboards_are_those_that_python_builds(tmp_path: Path) -> None:
    write(tmp_path)
    built = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert built == {path.name: path.read_text() for path in FILES}


@pytest.mark.parametrize("board", DASHBOARDS, ids=lambda board: str(board["uid"]))
def test_a_panel_is_of_a_known_kind_says_what_to_do_and_asks_the_one_source(
    board: dict[str, Any],
) -> None:
    assert {"generated", "relay"} <= set(board["tags"])
    assert board["editable"] is False
    titles = [panel["title"] for panel in panels(board)]
    assert len(titles) == len(set(titles))
    for panel in panels(board):
        assert panel["type"] in KINDS
        assert len(panel["description"]) > 40, panel["title"]
        for asker in (panel, *panel["targets"]):
            assert asker["datasource"] == {"type": "prometheus", "uid": "prometheus"}


@pytest.mark.parametrize("board", DASHBOARDS, ids=lambda board: str(board["uid"]))
def test_numbers_are_asked_for_now_so_that_nothing_old_looks_fresh(board: dict[str, Any]) -> None:
    for panel in panels(board):
        over_time = panel["type"] in {"timeseries", "state-timeline", "heatmap"}
        for target in panel["targets"]:
            asked = (target.get("range", False), target.get("instant", False))
            assert asked == (over_time, not over_time), panel["title"]


@pytest.mark.parametrize("board", DASHBOARDS, ids=lambda board: str(board["uid"]))
def test_no_panel_stands_on_another(board: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert all(x < 24 for x, _ in cells), panel["title"]
        taken |= cells


@pytest.mark.parametrize("board", DASHBOARDS, ids=lambda board: str(board["uid"]))
def test_links_lead_to_dashboards_that_are_there_and_name_variables_that_are_there(
    board: dict[str, Any],
) -> None:
    of = {variable["name"] for variable in board["templating"]["list"]}
    known = {name: value for name, value in (ANY | ADDRESSES).items() if name in of}
    links = [*board["links"], *(link for panel in panels(board) for link in panel.get("links", []))]
    for link in (link for link in links if link["type"] == "link"):
        address = fill(link["url"], known)
        inside = re.match(r"/d/([\w-]+)", address)
        assert address.startswith("http://") or (inside and inside[1] in UIDS), link


def test_an_alert_that_fires_leads_to_its_runbook() -> None:
    tables = [
        panel
        for board in DASHBOARDS
        for panel in panels(board)
        if panel["title"] == "Alerts firing"
    ]
    assert len(tables) == 2
    for table in tables:
        (override,) = table["fieldConfig"]["overrides"]
        (links,) = override["properties"]
        assert override["matcher"]["options"] == "alert"
        assert links["value"][0]["url"] == "${page}/runbooks/${__value.raw}"


def test_what_may_be_empty_is_a_panel_that_is_there_and_says_why() -> None:
    empty = yaml.safe_load((ROOT / "grafana/rightly_empty.yml").read_text())
    there = {board["uid"]: {panel["title"] for panel in panels(board)} for board in DASHBOARDS}
    for uid, reasons in empty.items():
        assert set(reasons) <= there[uid]
        assert all(len(reason) > 20 for reason in reasons.values())


def test_provisioning_is_read_only_and_has_no_password() -> None:
    (provider,) = yaml.safe_load((ROOT / "grafana/provisioning/dashboards/relay.yml").read_text())[
        "providers"
    ]
    assert provider["allowUiUpdates"] is False
    assert provider["folder"] == "Relay"
    (source,) = yaml.safe_load(
        (ROOT / "grafana/provisioning/datasources/prometheus.yml").read_text()
    )["datasources"]
    assert (source["uid"], source["editable"]) == ("prometheus", False)
    assert not {"password", "basicAuth", "secureJsonData"} & set(source)


def test_the_grammar_sees_every_metric() -> None:
    expression = (
        'max by (a) (rate(x_total{b="y_total"}[5m])) / on (c) group_left () relay:z:sum offset 1m '
        "or last_over_time(q[10m:1m]) unless absent(-w)"
    )
    assert metrics_of(expression) == {"x_total", "relay:z:sum", "q", "w"}
