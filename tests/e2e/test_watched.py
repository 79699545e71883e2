"""What people are shown of a lap: every target, every rule, every panel, and an alert's whole way.

Prometheus kept what it saw while the lap turned.
"""

from pathlib import Path

import pytest

from tests.e2e.conftest import Loop
from tests.outside import MODEL
from tests.programs import wait_for
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

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def test_every_target_is_up_and_every_source_is_read(loop: Loop) -> None:
    wait_for(lambda: targets_up(loop) == JOBS, "all to be up")
    assert sources_read(loop) == SOURCES


def test_every_rule_can_be_evaluated_and_every_record_has_data(loop: Loop) -> None:
    assert not rule_errors(loop)
    assert not empty_records(loop)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_has_data_of_the_lap(path: Path, loop: Loop) -> None:
    assert not empty_panels(loop, path)


def test_the_page_tells_how_the_loop_is_and_shows_each_dashboard(loop: Loop) -> None:
    assert f"One lap of {MODEL}" in loop.get("page", "/").text
    for path in DASHBOARDS:
        assert loop.get("page", f"/d/{path.stem}").status_code == 200
        shown = loop.get("page", f"/api/dashboards/{path.stem}").json()
        assert shown["uid"] == path.stem


def test_a_server_that_dies_is_told_of_and_its_alert_leads_to_a_runbook(loop: Loop) -> None:
    loop.supervise("stop", "serving")
    try:
        told = wait_for(
            lambda: (
                "no serving process answers"
                in loop.get("page", "/alerts", name="ServingDown", status="firing").text
            ),
            "the alert in the trail",
            seconds=180,
        )
    finally:
        loop.supervise("start", "serving")
    assert told
    assert "Serving" in loop.get("page", "/runbooks/ServingDown").text
    wait_for(lambda: loop.prometheus('up{job="serving"} == 1'), "serving to be back")
