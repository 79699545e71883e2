"""The repository's Prometheus configuration in; a copy with this platform's addresses out."""

import json
import shutil

from services.embedded.settings import HOST, ROOT, Embedded

CONFIGURATION = ROOT / "monitoring/prometheus"


def lay(settings: Embedded) -> None:
    """Copy the configuration beside Prometheus' data and write who is asked for metrics.

    One ``targets/<job>.yml`` a job, read by Prometheus' file service discovery (JSON is YAML):
    https://prometheus.io/docs/guides/file-sd/.
    """
    folder = settings.home / "prometheus/config"
    shutil.copytree(CONFIGURATION, folder, dirs_exist_ok=True)
    for targets in (folder / "targets").glob("*.yml"):
        address = f"{HOST}:{settings.port(targets.stem)}"
        targets.write_text(json.dumps([{"targets": [address]}]) + "\n", encoding="utf-8")
