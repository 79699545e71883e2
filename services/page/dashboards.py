"""The folder of Grafana's dashboards in, their names and contents for the browser out.

Read anew at every request: the files are small, and a new one is there at once. The markdown of
text panels is rendered here (no HTML in it), so that the browser needs no second library.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.page.markdown import render

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listed:
    """A dashboard as a menu shows it."""

    uid: str
    title: str
    description: str


def list_dashboards(folder: Path) -> list[Listed]:
    """List what is there, the lap first, then by title; what is no dashboard is passed over."""
    found = [_listed(content) for content in _read_all(folder)]
    return sorted(found, key=lambda listed: (listed.uid != "relay-lap", listed.title))


def find_dashboard(folder: Path, uid: str) -> dict[str, Any] | None:
    """Give a dashboard's content with its text panels' markdown as HTML; None if there is none."""
    for content in _read_all(folder):
        if content["uid"] == uid:
            for panel in _panels(content):
                _render_text(panel)
            return content
    return None


def _read_all(folder: Path) -> list[dict[str, Any]]:
    contents = [_read(path) for path in sorted(folder.glob("*.json"))]
    return [one for one in contents if isinstance(one, dict) and "uid" in one and "panels" in one]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        log.warning("%s is no dashboard: %s", path, error)
        return None


def _listed(content: dict[str, Any]) -> Listed:
    uid = str(content["uid"])
    return Listed(uid, str(content.get("title", uid)), str(content.get("description", "")))


def _panels(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Give all panels, those inside closed rows too."""
    top: list[dict[str, Any]] = content["panels"]
    return top + [panel for row in top for panel in row.get("panels", [])]


def _render_text(panel: dict[str, Any]) -> None:
    options = panel.get("options", {})
    if panel["type"] == "text" and options.get("mode", "markdown") == "markdown":
        options["html"] = render(options.get("content", ""))
