"""What people are shown of the stack: every target, every rule, every panel of every dashboard.

The lap has been turned before, so that there is something to see.
"""

from pathlib import Path

import httpx
import pytest

from tests.outside import Outside
from tests.programs import wait_for
from tests.stack.stack import Stack
from tests.watched import (
    DASHBOARDS,
    JOBS,
    SOURCES,
    empty_panels,
    empty_records,
    rule_errors,
    sources_read,
    targets_up,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800), pytest.mark.usefixtures("lap")]


def test_every_target_is_up_and_every_source_is_read(outside: Outside) -> None:
    wait_for(lambda: targets_up(outside) == JOBS, "every target to be up", 120)
    wait_for(lambda: sources_read(outside) == SOURCES, "every source to be read", 120)


def test_every_rule_is_evaluated_and_every_record_has_data(outside: Outside) -> None:
    wait_for(lambda: not rule_errors(outside), "every rule to be well", 120)
    wait_for(lambda: not empty_records(outside), "every record to have data", 120)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_has_data(path: Path, outside: Outside) -> None:
    wait_for(lambda: not empty_panels(outside, path), f"every panel of {path.stem}", 120)


def test_grafana_shows_every_dashboard(stack: Stack) -> None:
    if "grafana" not in stack.compose("config", "--services").split():
        pytest.skip("Grafana was not run: its image cannot be had here")
    login = ("admin", stack.secrets()["grafana-admin"])
    url = stack.url("grafana")
    found = httpx.get(f"{url}/api/search", auth=login, trust_env=False).raise_for_status().json()
    assert {each["uid"] for each in found if each["type"] == "dash-db"} >= {
        path.stem for path in DASHBOARDS
    }
    assert httpx.get(f"{url}/api/search", trust_env=False).status_code == 401
