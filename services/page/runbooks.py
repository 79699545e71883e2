"""`docs/runbooks/<alert's name>.md` in, titles and HTML out."""

import re
from dataclasses import dataclass
from pathlib import Path

from services.page.markdown import render

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")
_TITLE = re.compile(r"^# +(.+)$", re.MULTILINE)
_URGENCY = {"page": 0, "ticket": 1, "none": 2}
_HEAD = re.compile(r"^\*(page|ticket|none)\*: +(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Runbook:
    """What to do about one alert."""

    name: str
    title: str
    html: str


@dataclass(frozen=True)
class Listed:
    """A runbook as a list shows it; severity and meaning, where its head says them."""

    name: str
    severity: str
    meaning: str


def list_runbooks(folder: Path) -> list[Listed]:
    """List the alerts that have a runbook: the most urgent first, then by name."""
    listed = [_listed(path) for path in folder.glob("*.md") if _NAME.fullmatch(path.stem)]
    return sorted(listed, key=lambda one: (_URGENCY.get(one.severity, 1), one.name))


def find_runbook(folder: Path, name: str) -> Runbook | None:
    """Read one; None where there is none, or the name could be a path."""
    if not _NAME.fullmatch(name) or not (path := folder / f"{name}.md").is_file():
        return None
    text = path.read_text(encoding="utf-8")
    title = _TITLE.search(text)
    return Runbook(name, title.group(1) if title else name, render(text))


def _listed(path: Path) -> Listed:
    head = _HEAD.search(path.read_text(encoding="utf-8"))
    return Listed(path.stem, *(head.groups() if head else ("", "")))
