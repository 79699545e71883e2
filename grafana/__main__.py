"""`python -m grafana`: the dashboards in Python in, `grafana/dashboards/<uid>.json` out."""

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.airflow import airflow
from grafana.lap import lap
from grafana.model_health import model_health
from grafana.platform import platform
from grafana.serving import serving
from grafana.training import training

FOLDER = Path(__file__).parent / "dashboards"
DASHBOARDS = (lap, serving, model_health, training, airflow, platform)


def render(dashboard: Dashboard) -> str:
    """Give a dashboard's JSON, sorted, so that a change is a small difference."""
    return json.dumps(dashboard, cls=JSONEncoder, sort_keys=True, indent=2) + "\n"


def write(folder: Path) -> None:
    """Write a file a dashboard; those of dashboards that are gone are deleted."""
    made = {f"{built.uid}.json": render(built) for built in (make() for make in DASHBOARDS)}
    for old in folder.glob("*.json"):
        if old.name not in made:
            old.unlink()
    for name, content in made.items():
        (folder / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    write(FOLDER)
