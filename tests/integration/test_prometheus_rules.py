import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from monitoring.limits import CheckName
from tests.programs import ROOT

CONFIG = ROOT / "monitoring/prometheus"
TESTS = sorted((Path(__file__).parent / "prometheus").glob("*_test.yml"))

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="no promtool: sudo apt install prometheus"
)


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content


RULES = [
    rule
    for path in CONFIG.glob("rules/*.yml")
    for group in read(path)["groups"]
    for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
HEARTBEAT = "Watchdog"  # never quiet, and nothing for anybody to do
CASES = {path.stem: read(path)["tests"] for path in TESTS}


def promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_the_configuration_and_the_rules_are_valid() -> None:
    promtool("check", "config", str(CONFIG / "prometheus.yml"))


@needs_promtool
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_alerts_fire_on_their_fault_and_stay_quiet_without(path: Path) -> None:
    promtool("test", "rules", str(path))


def test_every_rules_file_is_tested() -> None:
    hand_written = {path.name for path in CONFIG.glob("rules/*.yml")} - {"limits.yml"}
    for path in TESTS:
        assert {Path(file).name for file in read(path)["rule_files"]} == hand_written


@pytest.mark.parametrize("alert", [alert for alert in ALERTS if alert != HEARTBEAT])
def test_every_alert_is_made_to_fire_and_seen_quiet(alert: str) -> None:
    checks = [
        check
        for cases in CASES.values()
        for case in cases
        for check in case["promql_expr_test"]
        if f'alertname="{alert}", alertstate="firing"' in check["expr"]
    ]
    assert [check for check in checks if check["exp_samples"]], f"nothing makes {alert} fire"
    assert [check for check in checks if not check["exp_samples"]], f"{alert} is never quiet"


def test_a_platform_that_is_well_has_all_that_alerts_look_at() -> None:
    given = str([series["series"] for series in CASES["quiet_test"][0]["input_series"]])
    expressions = " ".join(rule["expr"] for rule in RULES)
    used = re.findall(r"\b(up|(?:relay|prometheus|alertmanager)_\w+)\b(?!:)", expressions)
    assert {name for name in used if not re.search(rf"\b{name}\b", given)} == set()


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_says_how_urgent_it_is_and_what_to_do(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ({"none"} if alert == HEARTBEAT else {"page", "ticket"})
    said = rule["annotations"]
    assert said["summary"]
    assert said["description"]
    assert said["runbook_url"] == "{{ $externalLabels.page_url }}/runbooks/" + alert


def test_every_check_that_alerts_is_said_by_one_alert() -> None:
    matchers = {
        alert: re.search(r'verdict:in_use\{[^}]*check=~?"([^"]*)"', rule["expr"])
        for alert, rule in ALERTS.items()
    }
    said = [name for found in matchers.values() if found for name in found[1].split("|")]
    assert len(said) == len(set(said))
    assert set(said) >= set(get_args(CheckName))
