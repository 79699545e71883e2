"""What all models share names none of them: the next one is a folder, and a change nowhere else.

A sentence, in a comment or a message, may take one as its example; what the code does may not.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import models

ROOT = Path(__file__).parents[2]
OF_ONE = {ROOT / "pipelines" / name for name in models.names()}
SHARED = sorted(
    path
    for room in ("pipelines", "monitoring", "dags", "grafana", "services")
    for path in (ROOT / room).rglob("*.py")
    if not OF_ONE & set(path.parents)
)
QUERIES = sorted(
    path
    for pattern in ("grafana/dashboards/*.json", "monitoring/prometheus/**/*.yml")
    for path in ROOT.glob(pattern)
    if path.name != "limits.yml"  # the policies' own, generated
)


def said(code: str) -> Iterator[str]:
    """Give each name of a module that is imported, and each text that is no sentence."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from [node.value] if not re.search(r"\s", node.value) else []


def named(code: str) -> set[str]:
    """Say which models the code names, as a folder, a DAG, a tag, a label."""
    texts = [text for text in said(code) if not re.fullmatch(r"pipelines\.models\.\w+", text)]
    known = {name: re.compile(rf"(?<![A-Za-z]){name}(?![A-Za-z])") for name in models.names()}
    return {name for name, word in known.items() if any(word.search(text) for text in texts)}


def test_shared_code_names_no_model() -> None:
    assert len(SHARED) > 100
    found = {path.relative_to(ROOT): named(path.read_text()) for path in SHARED}
    assert not {path: names for path, names in found.items() if names}


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.name)
def test_dashboards_and_rules_ask_for_no_model_by_name(path: Path) -> None:
    asked = re.findall(r"""model\s*=~?\s*\\?["']([^"'\\]*)""", path.read_text())
    assert not set(models.names()) & {name for each in asked for name in each.split("|")}


@pytest.mark.parametrize(
    "code",
    [
        "from pipelines.flights.network import Network",
        "from pipelines import flights",
        'if model == "flights": pass',
        'dag = "flights_train"',
        'tag = f"flights/v{number}"',
    ],
)
def test_it_would_notice(code: str) -> None:
    assert named(code) == {"flights"}
