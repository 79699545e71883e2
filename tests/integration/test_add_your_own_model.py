"""docs/add-your-own-model.md, followed to the letter in a copy of the repository.

Its commands are run as they stand, one after the other in one shell, beside a real MLflow and a
real serving process; only the address of serving is this test's own.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import programs
from tests.programs import ROOT, Program
from tests.small_models import delete

PAGE = ROOT / "docs/add-your-own-model.md"
MODEL = "visits"
USUAL = "http://127.0.0.1:8000"  # where serving is, as the page has it
NEXT = "\x1e"  # between the outputs of two blocks


@dataclass
class Followed:
    """The copy, and what the page's blocks printed, in order."""

    code: Path
    home: Path
    env: dict[str, str]
    said: list[str]

    def results(self) -> dict[str, dict[str, Any]]:
        """The last line of JSON of each step."""
        lines = [line for text in self.said for line in text.splitlines()]
        found = [json.loads(line) for line in lines if line.startswith('{"step"')]
        return {each["step"]: each for each in found}

    def ask(self, *command: str) -> str:
        return run([sys.executable, *command], self.code, self.env)


def run(command: list[str], code: Path, env: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=code, env=env, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def blocks() -> list[str]:
    """The page's shell commands, a fenced block each."""
    return re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def copy_to(code: Path) -> None:
    """Copy what git knows or would; the environment is used where it is."""
    known = run(["git", "ls-files", "-co", "--exclude-standard"], ROOT, dict(os.environ))
    for name in known.splitlines():
        if (ROOT / name).is_file():
            (code / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, code / name)
    (code / ".venv").symlink_to(sys.prefix)


@pytest.fixture(scope="module")
def followed(
    tmp_path_factory: pytest.TempPathFactory, mlflow_server: Program
) -> Iterator[Followed]:
    code, home = tmp_path_factory.mktemp("relay"), tmp_path_factory.mktemp("home")
    copy_to(code)
    with programs.serving(home, mlflow_server.url) as serving:
        env = os.environ | {
            "PYTHONPATH": str(code),  # before what the environment has installed
            "RELAY_HOME": str(home),
            "RELAY_MLFLOW_URL": mlflow_server.url,
            "RELAY_SERVING_URL": serving.url,
        }
        script = f"\nprintf '{NEXT}'\n".join(blocks()).replace(USUAL, serving.url)
        said = run(["bash", "-euo", "pipefail", "-c", script], code, env)
        yield Followed(code, home, env, said.split(NEXT))
        delete(mlflow_server.url, MODEL)


def test_the_model_is_made_in_the_copy(followed: Followed) -> None:
    assert (followed.code / "pipelines" / MODEL / "params.yaml").is_file()
    assert not (ROOT / "pipelines" / MODEL).exists()
    assert followed.code.as_posix() in followed.said[0]
    assert "visited_at" in followed.said[1]


def test_it_goes_around_once(followed: Followed) -> None:
    steps = followed.results()
    assert list(steps) == ["ingest", "train", "register", "evaluate", "promote", "monitor"]
    assert steps["ingest"]["tag"] == f"{MODEL}/v2"
    assert steps["promote"]["champion"] == 1
    assert "NO" not in steps["promote"]["reasons"]


def test_it_is_served_and_each_answer_can_be_explained(followed: Followed) -> None:
    served = followed.said[5]
    assert '"probability"' in served
    assert f"{MODEL}/v2" in served
    (probability,) = re.findall(r'"data": ?\[([0-9.]+)\]', served)
    assert 0 < float(probability) < 1


def test_its_monitor_judges_all_and_is_quiet(followed: Followed) -> None:
    monitored = followed.results()["monitor"]
    assert monitored["rows"] > 500
    assert set(monitored["verdicts"]) == {"ok"}


def test_its_limits_become_rules(followed: Followed) -> None:
    followed.ask("-m", "pipelines.alert_limits")
    rules = (followed.code / "monitoring/prometheus/rules/limits.yml").read_text()
    (group,) = yaml.safe_load(rules)["groups"]
    assert MODEL in {rule["labels"]["model"] for rule in group["rules"]}
