"""`docs/runbooks/<alert's name>.md` in, titles and HTML out."""

import re
from dataclasses import dataclass
from pathlib import Path

from services.page.markdown import render

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")
_TITLE = re.compile(r"^# +(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Runbook:
    """What to do about one alert."""

    name: str
    title: str
    html: str


def list_runbooks(folder: Path) -> list[str]:
    """Name the alerts that have a runbook."""
    return sorted(path.stem for path in folder.glob("*.md") if _NAME.fullmatch(path.stem))


def find_runbook(folder: Path, name: str) -> Runbook | None:
    """Read one; None where there is none, or the name could be a path."""
    if not _NAME.fullmatch(name) or not (path := folder / f"{name}.md").is_file():
        return None
    text = path.read_text(encoding="utf-8")
    title = _TITLE.search(text)
    return Runbook(name, title.group(1) if title else name, render(text))
