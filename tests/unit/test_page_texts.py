import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.page.app import _routes
from services.page.markdown import render
from services.page.runbooks import Listed, find_runbook, list_runbooks
from services.page.settings import PageSettings
from tests.programs import ROOT


def test_html_in_markdown_is_text() -> None:
    assert "&lt;script&gt;" in render("<script>alert(1)</script>")
    assert "<a" not in render("[x](javascript:alert(1))")
    assert "style" not in render("| a | b |\n|--:|:-:|\n| 1 | 2 |")
    assert "<table>" in render("| a |\n|---|\n| 1 |")


def test_a_runbook_is_found_by_its_alerts_name_alone(tmp_path: Path) -> None:
    folder = tmp_path / "runbooks"
    folder.mkdir()
    (folder / "TargetDown.md").write_text("# A target is down\n\nLook at **it**.")
    (tmp_path / "secret.md").write_text("secret")
    found = find_runbook(folder, "TargetDown")
    assert found is not None
    assert found.title == "A target is down"
    assert "<strong>it</strong>" in found.html
    assert list_runbooks(folder) == [Listed("TargetDown", "", "")]
    for name in ("Other", "../secret", "..%2fsecret", "/etc/passwd", "", "TargetDown.md", "a\0b"):
        assert find_runbook(folder, name) is None


def test_runbooks_that_page_are_listed_first_and_each_says_what_it_is_about() -> None:
    listed = list_runbooks(ROOT / "docs/runbooks")
    severities = [one.severity for one in listed]
    assert severities == sorted(severities, key=["page", "ticket", "none"].index)
    assert {"page", "ticket", "none"} == set(severities)
    assert all(one.meaning.endswith(".") for one in listed)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "prometheus:9090", "http://", "http://me:secret@host:1", "x"]
)
def test_an_address_that_is_no_plain_web_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("RELAY_GRAFANA_URL", url)
    with pytest.raises(ValidationError, match="grafana_url"):
        PageSettings()


def test_what_is_not_given_is_where_it_usually_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RELAY_MLFLOW_URL", "RELAY_PROMETHEUS_URL", "RELAY_HOME", "RELAY_CHECKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RELAY_MLFLOW_PORT", "5001")
    monkeypatch.setenv("RELAY_PROMETHEUS_URL", "https://prometheus.example/base/")
    monkeypatch.setenv("RELAY_PROMETHEUS_LINK", "https://people.example/")
    settings = PageSettings()
    assert settings.mlflow_url == "http://127.0.0.1:5001"
    assert settings.mlflow_link == "http://127.0.0.1:5001"
    assert settings.prometheus_url == "https://prometheus.example/base"
    assert settings.prometheus_link == "https://people.example"
    assert settings.page_host == "127.0.0.1"
    assert settings.checks == Path(".relay/checks")


def test_the_docs_list_every_setting_and_no_other() -> None:
    table = (ROOT / "docs/page.md").read_text().partition("## Settings")[2]
    ports = {name for name in PageSettings.model_fields if name.endswith("_port")} - {"page_port"}
    known = {f"RELAY_{name.upper()}" for name in PageSettings.model_fields if name not in ports}
    assert set(re.findall(r"`(RELAY_[A-Z_]+)`", table)) == known


def test_the_docs_list_every_address() -> None:
    text = (ROOT / "docs/page.md").read_text()
    for route in _routes(PageSettings()):
        begin = route.path.partition("{")[0]
        assert f"`{begin}" in text or f" {begin}" in text, route.path
