"""A program that no Python package brings in; where it is on this machine, or how to get it, out.

``make install`` reads this with a bare Python: the standard library only.
"""

from __future__ import annotations

import shutil

NAMES = {  # as upstream calls it, and as Debian does
    "prometheus": ("prometheus",),
    "alertmanager": ("alertmanager", "prometheus-alertmanager"),
    "grafana": ("grafana",),
}
DEBIAN = {"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager"}


def find(program: str) -> str | None:
    """Give the path of a program; None where it is not installed."""
    return next(filter(None, map(shutil.which, NAMES[program])), None)


def missing(program: str) -> str:
    """Say that a program is missing, and what to do."""
    if program in DEBIAN:
        return f"it is not installed: `{apt([program])}`"
    return "there is no `grafana` on the PATH; the page shows the same dashboards"


def apt(programs: list[str]) -> str:
    """Give the command that installs Debian's packages of programs."""
    packages = " ".join(DEBIAN[program] for program in programs)
    return f"sudo apt install --no-install-recommends {packages}"
