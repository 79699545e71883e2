"""What a browser draws of dashboards: headless Chromium on the real page and a real Prometheus."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_page import HOST, ask, page, prometheus
from tests.programs import ROOT, Program, free_port, running, wait_for

STATIC = ROOT / "services" / "page" / "static"
DASHBOARDS = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
ODD = "<img src=x onerror=boom()>"
RULES = f"""
groups:
  - name: test
    interval: 1s
    rules:
      - record: relay_model_version
        expr: vector(4)
        labels: {{model: flights, alias: champion}}
      - {{record: relay:monitor_period_seconds, expr: vector(300), labels: {{model: flights}}}}
      - {{record: relay:monitor_period_seconds, expr: vector(300), labels: {{model: digits}}}}
      - record: model:relay_champion:exists
        expr: group by (model) (relay_model_version{{alias="champion"}})
      - {{record: odd, expr: vector(3), labels: {{column: "{ODD}"}}}}
      - {{record: state, expr: vector(1), labels: {{dag: flights_train}}}}
      - {{record: limit, expr: vector(2), labels: {{column: temp}}}}
"""
pytestmark = [
    pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium on this machine"),
    pytest.mark.skipif(not shutil.which("prometheus"), reason="no prometheus on this machine"),
]


def panel(kind: str, title: str, expr: str = "", **more: Any) -> dict[str, Any]:
    target = {"refId": "A", "expr": expr, "legendFormat": "{{column}}"} | more.pop("target", {})
    return {"type": kind, "title": title, "targets": [target] if expr else []} | more


TURNS = {"type": "value", "options": {"1": {"text": "turns", "color": "green"}}}
MAPPED = {"defaults": {"mappings": [TURNS]}}
RATE = "rate(prometheus_http_requests_total[$__rate_interval]) or odd"
MODELS = "label_values(relay_model_version, model)"
LEADING = {"id": "links", "value": [{"title": "it", "url": "/runbooks/${__value.raw}"}]}
LINKED = {
    "overrides": [{"matcher": {"id": "byName", "options": "column"}, "properties": [LEADING]}]
}
AS_TABLE = {"instant": True, "format": "table"}
SAMPLE = {
    "uid": "sample",
    "title": "Sample",
    "time": {"from": "now-5m", "to": "now"},
    "templating": {"list": [{"name": "model", "type": "query", "query": MODELS}]},
    "annotations": {"list": [{"name": "Mark", "enable": True, "expr": "odd > 0"}]},
    "panels": [
        panel("text", "Text", options={"content": "of **$model**: [MLflow](/go/run/$model/4)"}),
        panel("stat", "Stat $model", 'relay_model_version{model="$model"} * 100'),
        panel("timeseries", "Lines", RATE),
        panel("bargauge", "Bars", "odd", target={"instant": True}),
        panel("table", "Table", "odd", target=AS_TABLE, fieldConfig=LINKED),
        panel("heatmap", "Heat", "odd or limit"),
        panel("state-timeline", "States", "state", fieldConfig=MAPPED),
        panel("timeseries", "Empty", "nothing_here"),
        panel("timeseries", "Wrong", "sum(("),
        panel("piechart", "Odd kind", "odd"),
        {"type": "row", "collapsed": True, "panels": [panel("stat", "In", "odd")]},
    ],
}


@pytest.fixture(scope="module")
def drawn_by(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], Program]]:
    """A page for a folder of dashboards, on a Prometheus that has some of the platform's series."""
    home = tmp_path_factory.mktemp("home")
    with prometheus(home, RULES) as judge:
        seen = "odd offset 6s"  # a step ago, so that a range has it, too
        wait_for(lambda: "onerror" in ask(judge, seen).text, "the rules")
        with ExitStack() as pages:

            @cache
            def start(folder: Path) -> Program:
                made = page(home, prometheus_url=judge.url, dashboards=str(folder))
                return pages.enter_context(made)

            yield start


def browse(url: str, profile: Path) -> tuple[str, list[str]]:
    """Give the page as it stands once all is drawn, and what its scripts complained about."""
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={profile}", "--window-size=1400,2000", "--timeout=20000"]
    command += ["--virtual-time-budget=2000", "--enable-logging=stderr", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    said = re.findall(r'CONSOLE[^"]*"(.*)", source', done.stderr)
    return done.stdout, [line for line in said if not line.startswith("warned:")]


def states(dom: str) -> dict[str, str]:
    """Every panel's title and what became of it."""
    panels = re.findall(r"<article ([^>]*)>", dom)
    found = {}
    for attributes in panels:
        named = dict(re.findall(r'([\w-]+)="([^"]*)"', attributes))
        found[unescape(named.get("aria-label", ""))] = named.get("data-state", "not drawn")
    return found


def test_every_kind_of_panel_is_drawn(drawn_by: Callable[[Path], Program], tmp_path: Path) -> None:
    (tmp_path / "sample.json").write_text(json.dumps(SAMPLE))
    program = drawn_by(tmp_path)
    dom, complaints = browse(f"{program.url}/d/sample?refresh=", tmp_path / "profile")
    assert complaints == []
    drawn = ["Text", "Stat flights", "Lines", "Bars", "Table", "Heat", "States"]
    expected = dict.fromkeys(drawn, "drawn") | {
        "Empty": "empty",
        "Wrong": "error",
        "Odd kind": "unknown",
    }
    assert {title: state for title, state in states(dom).items() if title} == expected, notes(dom)
    assert "of <strong>flights</strong>" in dom
    assert 'href="/go/run/flights/4"' in dom
    assert 'href="/runbooks/%3Cimg%20src%3Dx%20onerror%3Dboom()%3E"' in dom
    assert ">400<" in dom
    assert ">turns<" in dom
    assert "No data" in dom
    assert "unclosed left parenthesis" in dom
    assert 'The panel kind "piechart" is not drawn here' in dom
    assert "<img src=x" not in dom  # a label's value is text
    assert "&lt;img src=x" in dom


def test_the_menu_keeps_the_model_and_the_time_span(
    drawn_by: Callable[[Path], Program], tmp_path: Path
) -> None:
    for uid in ("sample", "other"):
        (tmp_path / f"{uid}.json").write_text(json.dumps(SAMPLE | {"uid": uid}))
    program = drawn_by(tmp_path)
    asked = "refresh=&from=now-15m&to=now&var-odd=1"
    dom, complaints = browse(f"{program.url}/d/sample?{asked}", tmp_path / "profile")
    assert complaints == []
    assert 'href="/d/other?from=now-15m&amp;to=now&amp;var-model=flights"' in dom
    assert 'href="/alerts"' in dom


@pytest.mark.parametrize("uid", ["relay-lap", "relay-model", "relay-training"])
def test_a_dashboard_opens_on_a_model_that_has_a_champion(
    drawn_by: Callable[[Path], Program], tmp_path: Path, uid: str
) -> None:
    program = drawn_by(ROOT / "grafana" / "dashboards")
    dom, _ = browse(f"{program.url}/d/{uid}?refresh=", tmp_path / "profile")
    (choice,) = re.findall(r'<select id="var-model">(.*?)</select>', dom)
    assert re.findall(r'<option value="(\w+)"', choice) == ["flights", "digits"]
    assert '<option value="flights" selected="">' in choice
    dom, _ = browse(f"{program.url}/d/{uid}?refresh=&var-model=digits", tmp_path / "profile")
    assert '<option value="digits" selected="">' in dom


def notes(dom: str) -> list[str]:
    """What panels say went wrong."""
    return [unescape(text) for text in re.findall(r'<p class="note">(.*?)</p>', dom)]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: str(path.stem))
def test_every_dashboard_of_the_project_is_drawn(
    drawn_by: Callable[[Path], Program], tmp_path: Path, path: Path
) -> None:
    uid = json.loads(path.read_text())["uid"]
    program = drawn_by(path.parent)
    dom, complaints = browse(f"{program.url}/d/{uid}?refresh=", tmp_path / "profile")
    assert complaints == []
    became = states(dom)
    assert became
    assert set(became.values()) <= {"drawn", "empty"}, notes(dom)
    assert 'data-drawn="1"' in dom


def test_the_first_page_has_nothing_to_complain_about(
    drawn_by: Callable[[Path], Program], tmp_path: Path
) -> None:
    program = drawn_by(tmp_path)
    dom, complaints = browse(program.url, tmp_path / "profile")
    assert complaints == []
    assert "One lap of flights" in dom


ANSWERS: dict[str, object] = {  # an expression of ours -> what it gives
    "format(0.5, 'percentunit')": "50%",
    "format(0.1234, 'percentunit')": "12.3%",
    "format(58.34, 'reqps')": "58.3 req/s",
    "format(1500, 'short')": "1.50 K",
    "format(1536, 'bytes')": "1.50 KiB",
    "format(0, 's')": "0 s",
    "format(0.0042, 's')": "4.20 ms",
    "format(90, 's')": "1.50 min",
    "format(250, 'ms')": "250 ms",
    "format(5, 'none')": "5",
    "format(3.14159, 'none', 2)": "3.14",
    "format(-0.0001, 'none', 2)": "0.00",
    "format(null, 's')": "\u2013",
    "format(Infinity, 's')": "+∞",
    "format(3, 'rows')": "3 rows",
    "format(3, 'suffix: rows')": "3 rows",
    "format(Date.now() - 7200000, 'dateTimeFromNow')": "2 h ago",
    "moment('now-6h', 100000)": 78400,
    "moment('1000000')": 1000,
    "duration('1m30')": 0,
    "duration('5m')": 300,
    "stepOf({start: 0, end: 3600}, 500, 0, 5)": 10,
    "stepOf({start: 0, end: 300}, 500, 0, 5)": 5,
    "stepOf({start: 0, end: 604800}, 500, 0, 5)": 1800,
    "builtins({start: 0, end: 3600}, 10, 5).__rate_interval": "20s",
    "builtins({start: 0, end: 3600}, 30, 5).__rate_interval": "35s",
    "builtins({start: 0, end: 3600}, 30, 5).__range": "3600s",
    "safeAddress('javascript:alert(1)')": None,
    "safeAddress('/d/x')": "/d/x",
    "reduce([1, null, 3], 'mean')": 2,
    "reduce([1, 3, null], 'lastNotNull')": 3,
    "reduce([], 'max')": None,
}
MODULES = {
    "colors.js": "scaleColor",
    "dom.js": "safeAddress",
    "fields.js": "reduce",
    "time.js": "builtins, duration, moment, stepOf",
    "units.js": "format",
}


def test_numbers_and_times_are_told_as_grafana_tells_them(tmp_path: Path) -> None:
    imports = "".join(f"import {{ {names} }} from '/{file}';" for file, names in MODULES.items())
    script = f"{imports} const out = {{}}; for (const [name, ask] of Object.entries({{"
    script += ", ".join(f"{json.dumps(asked)}: () => {asked}" for asked in ANSWERS)
    script += "})) out[name] = ask() ?? null; document.body.textContent = JSON.stringify(out);"
    shutil.copytree(STATIC, tmp_path / "static")
    (tmp_path / "static" / "t.html").write_text(
        f'<meta charset="utf-8"><body></body><script type="module">{script}</script>'
    )
    port = free_port()
    command = [sys.executable, "-m", "http.server", "--bind", HOST, str(port)]
    command += ["--directory", str(tmp_path / "static")]
    url = f"http://{HOST}:{port}"
    with running(command, {}, url, "/t.html", tmp_path / "http.log"):
        dom, complaints = browse(url + "/t.html", tmp_path / "profile")
    assert complaints == []
    body = re.search(r"<body>(.*?)</body>", dom, re.DOTALL)
    assert body
    assert json.loads(unescape(body.group(1).partition("<script")[0])) == ANSWERS
