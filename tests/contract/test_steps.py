"""A step has one name everywhere: its module, its command, its task id and its section."""

import ast
import re
from pathlib import Path
from typing import get_args

import pytest
import yaml
from typer.main import get_command

from monitoring.limits import CheckName
from pipelines import exits, models, policy
from pipelines.cli import app

ROOT = Path(__file__).parents[2]
STEPS = {path.stem for path in (ROOT / "pipelines/steps").glob("[a-z]*.py")}


def task_ids() -> set[str]:
    """Collect the step of every ``Step(step=...)`` in the DAGs."""
    calls = [
        node
        for path in (ROOT / "dags").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Step"
    ]
    named = [keyword.value for call in calls for keyword in call.keywords if keyword.arg == "step"]
    return {str(name.value) for name in named if isinstance(name, ast.Constant)}


def test_every_step_is_a_command() -> None:
    assert set(get_command(app).commands) >= STEPS  # type: ignore[attr-defined]


def test_every_step_is_a_task_and_every_task_a_step() -> None:
    assert task_ids() == STEPS


def test_every_step_has_its_section_in_the_policy() -> None:
    fields = policy.Policy.model_fields.items()
    sections = {field.alias or name for name, field in fields}
    assert sections == STEPS | {
        *{"model", "description", "problem", "data", "outputs", "companions"},
        *{"canary", "serve", "optimize"},
    }


def test_every_step_has_a_function_of_its_name() -> None:
    for step in STEPS:
        tree = ast.parse((ROOT / f"pipelines/steps/{step}.py").read_text())
        assert step in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_dags_and_steps_mean_the_same_by_an_exit_code() -> None:
    source = (ROOT / "dags/relay_step.py").read_text()
    assert f"REFUSED, NOTHING_TO_DO = {exits.REFUSED}, {exits.NOTHING_TO_DO}" in source


def test_the_policy_knows_every_check() -> None:
    yielded = re.findall(r'yield "(\w+)"', (ROOT / "monitoring/checks.py").read_text())
    assert set(get_args(CheckName)) == set(yielded)


@pytest.mark.parametrize("name", models.names())
def test_a_model_folder_holds_what_a_model_needs(name: str) -> None:
    model = models.load(name)
    assert callable(model.feed.batch_names)
    assert callable(model.feed.read_batch)
    if model.problem.labelled:
        assert callable(model.rows.label)
        assert callable(model.rows.label_time)
    assert callable(model.network.Encoder.fit)
    assert callable(model.network.build)
    assert set(model.policy.train.baselines) <= set(model.baselines)
    assert (ROOT / "pipelines" / name / "README.md").exists()
    model.network.Hyperparameters(**model.policy.train.network)


def test_no_shared_file_names_a_model() -> None:
    shared = [
        path
        for folder in ("pipelines", "monitoring", "services", "dags", "grafana")
        for path in (ROOT / folder).rglob("*.py")
        if not any(path.is_relative_to(ROOT / "pipelines" / name) for name in models.names())
    ]
    code = {path: ast.dump(ast.parse(path.read_text())) for path in shared}
    for name in models.names():
        named = [str(p) for p, tree in code.items() if f"value='{name}'" in tree]
        assert not named, f"{name} is named in {named}: shared code takes any model"
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"].values()
    told = {word for service in services for word in service.get("command", ())}
    assert not told & set(models.names()), "the stack is of all models"
