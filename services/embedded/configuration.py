"""Other programs' configuration in; copies of it with this platform's addresses out."""

import re
import shutil
from collections.abc import Collection

from services.embedded.settings import HOST, ROOT, SERVED, Embedded

FOLDERS = {
    "prometheus": ROOT / "monitoring/prometheus",
    "alertmanager": ROOT / "monitoring/alertmanager",
    "grafana": ROOT / "grafana/provisioning",
}
ADDRESS = re.compile(re.escape(HOST) + r":(\d+)")


def lay(settings: Embedded, served: Collection[str]) -> None:
    """Copy each program's configuration beside its data, to ``<program>/config``.

    Where a file names the usual address of a program, its copy names the one that it has here;
    what is not served here is not asked for metrics.
    """
    for program, folder in FOLDERS.items():
        copy = settings.home / program / "config"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        for file in (path for path in copy.rglob("*") if path.suffix in {".yml", ".yaml"}):
            file.write_text(moved(file.read_text(encoding="utf-8"), settings), encoding="utf-8")
    for targets in (settings.home / "prometheus/config/targets").iterdir():
        if targets.stem not in served:
            targets.write_text("[]\n", encoding="utf-8")


def moved(text: str, settings: Embedded) -> str:
    """Put this platform's port where the usual one of a program stands."""
    usual = {Embedded.model_fields[f"{name}_port"].default: name for name in SERVED}

    def here(found: re.Match[str]) -> str:
        name = usual.get(int(found[1]))
        return f"{HOST}:{settings.port(name)}" if name else found[0]

    return ADDRESS.sub(here, text)
