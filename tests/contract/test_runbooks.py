"""A runbook is for somebody in a hurry: what it names must be there."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from pipelines import models
from pipelines.cli import app
from services.embedded.programs import programs
from services.embedded.settings import Embedded
from tests.programs import ROOT

RUNBOOKS = {path.stem: path.read_text() for path in ROOT.glob("docs/runbooks/*.md")}
ALL = "\n".join(RUNBOOKS.values())
SECTIONS = ["What it means", "What people feel", "Look first", "Mend", "Escalate"]
GROUPS = [
    group
    for path in ROOT.glob("monitoring/prometheus/rules/*.yml")
    for group in yaml.safe_load(path.read_text())["groups"]
]
ALERTS = {
    rule["alert"]: rule["labels"]["severity"]
    for group in GROUPS
    for rule in group["rules"]
    if "alert" in rule
}


def named(pattern: str) -> set[str]:
    """What the runbooks name; the pattern has one group."""
    found = set(re.findall(pattern, ALL))
    assert found
    return found


def test_every_alert_has_one_and_every_one_has_an_alert() -> None:
    assert set(RUNBOOKS) == set(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_it_says_how_urgent_it_is_and_where_to_look_first(alert: str) -> None:
    text = RUNBOOKS[alert]
    assert text.startswith(f"# {alert}\n\n*{ALERTS[alert]}*: ")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    looks = text.partition("## Look first")[2].partition("## Mend")[0]
    assert len(re.findall(r"^\d\. ", looks, re.MULTILINE)) == 3


def test_links_lead_somewhere() -> None:
    dashboards = [json.loads(path.read_text()) for path in ROOT.glob("grafana/dashboards/*.json")]
    assert named(r"\(/runbooks/(\w+)\)") <= set(ALERTS)
    assert named(r"\(/d/([\w-]+)\)") <= {dashboard["uid"] for dashboard in dashboards}
    reports = {f"go/report/{name}" for name in models.names()}
    assert named(r"\(/(?!runbooks|d/)([^)]*)\)") <= {"", *reports}


def test_commands_are_there() -> None:
    assert named(r"bin/relay ([\w-]+)") <= set(get_command(app).commands)  # type: ignore[attr-defined]
    modules = named(r"bin/python -m (pipelines[\w.]*)")
    assert all((ROOT / f"{name.replace('.', '/')}.py").exists() for name in modules)
    files = named(r"`[^`]*?((?:monitoring|tests|docs)/[\w./*-]+)[^`]*`")
    assert all(list(ROOT.glob(name)) for name in files)


def test_programs_are_called_as_the_platform_calls_them() -> None:
    binaries = {"prometheus": "prometheus", "alertmanager": "alertmanager"}
    known = {program.name for program in programs(Embedded(), binaries)}
    assert named(r"supervisor\.sock restart ([\w-]+)") <= known
    assert named(r"\.relay/logs/([\w-]+)\.log") <= known
    assert named(r"\(or `(airflow-[\w-]+)`\)") <= known


def test_settings_and_limits_are_there() -> None:
    sources = [*ROOT.glob("services/*/settings.py"), *ROOT.glob("pipelines/settings.py")]
    settings = " ".join(path.read_text() for path in sources)
    for name in named(r"\bRELAY_(\w+)"):
        assert re.search(rf"^    {name.lower()}: ", settings, re.MULTILINE), name
    policy = models.load(models.names()[0]).policy.model_dump(by_alias=True)
    for path in named(r"`((?:serve|monitor|retrain|promote|canary|ingest)\.[\w.]+)`"):
        value: Any = policy
        for key in path.split("."):
            assert key in value, path
            value = value[key]


@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool: sudo apt install prometheus")
def test_queries_can_be_asked(tmp_path: Path) -> None:
    queries = named(r"promtool query instant \S+ '([^']*)'")
    rules = [{"record": f"q{n}", "expr": query} for n, query in enumerate(sorted(queries))]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
