import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.programs import ROOT

CONFIG = ROOT / "monitoring" / "prometheus"
TESTS = Path(__file__).parent / "prometheus" / "rules_test.yml"

pytestmark = pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool on this machine")


def promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_and_the_rules_are_valid() -> None:
    promtool("check", "config", str(CONFIG / "prometheus.yml"))


def test_every_alert_fires_on_its_fault_and_stays_quiet_without() -> None:
    promtool("test", "rules", str(TESTS))


def test_every_alert_is_tested_both_ways() -> None:
    groups = [group for path in CONFIG.glob("rules/*.yml") for group in _yaml(path)["groups"]]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    cases = _yaml(TESTS)["tests"]
    quiet = {check["alertname"] for check in cases[0]["alert_rule_test"]}
    fired = str([case.get("promql_expr_test") for case in cases[1:]])
    assert quiet == alerts
    assert {alert for alert in alerts if f'alertname="{alert}"' in fired} == alerts


def _yaml(path: Path) -> dict[str, list[dict[str, list[dict[str, str]]]]]:
    content: dict[str, list[dict[str, list[dict[str, str]]]]] = yaml.safe_load(path.read_text())
    return content
