"""Where things are: by default under one home, and where the environment says otherwise."""

import os
import subprocess
from pathlib import Path
from unittest.mock import patch

import pytest
from mlflow.utils.credentials import read_mlflow_creds
from pydantic import ValidationError

from pipelines.environment import code_commit, code_sha256
from pipelines.settings import Settings
from pipelines.tracking import Tracking, TrackingError


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"RELAY_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_everything_is_under_the_home_and_absolute(tmp_path: Path) -> None:
    settings = Settings()
    assert settings.home == tmp_path / ".relay"
    assert settings.landing == tmp_path / ".relay/landing"
    assert settings.data_registry == str(tmp_path / ".relay/data-registry.git")


def test_the_environment_says_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_HOME", "elsewhere")
    monkeypatch.setenv("RELAY_CHECKS", "seen")
    monkeypatch.setenv("RELAY_DATA_REGISTRY", "https://git.example/data.git")
    settings = Settings()
    assert settings.checks == tmp_path / "seen"
    assert settings.quarantine == tmp_path / "elsewhere/quarantine"
    assert settings.data_registry == "https://git.example/data.git"


@pytest.mark.parametrize("given", ["bucket/prefix", "s3:/bucket", "s3://"])
def test_a_store_that_is_no_uri_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("RELAY_PREDICTION_LOG_STORE", given)
    with pytest.raises(ValidationError, match="prediction_log_store"):
        Settings()


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().mlflow_url = "http://elsewhere"  # type: ignore[misc]


def test_the_codes_commit_is_gits_unless_it_is_said() -> None:
    assert code_commit(Settings(code_commit="abc")) == "abc"
    assert len(code_commit(Settings()).removesuffix("+dirty")) == 40


def test_code_that_git_was_never_told_of_is_other_code(tmp_path: Path) -> None:
    for folder in ("pipelines/steps", "pipelines/mine", "pipelines/theirs", "monitoring"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.py").write_text("a")
    me = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for told in (["init"], ["add", "."], [*me, "commit", "--message", "a"]):
        subprocess.run(["git", *told], cwd=tmp_path, check=True, capture_output=True)
    seen = [code_sha256("mine", tmp_path)]
    assert not code_commit(Settings(), tmp_path).endswith("+dirty")

    (tmp_path / "pipelines/theirs/b.py").write_text("b")
    assert code_commit(Settings(), tmp_path).endswith("+dirty")
    assert code_sha256("mine", tmp_path) == seen[0]
    for new in ("pipelines/mine/b.py", "pipelines/b.py", "pipelines/steps/b.py", "monitoring/b.py"):
        (tmp_path / new).write_text("b")
        seen.append(code_sha256("mine", tmp_path))
    assert len(set(seen)) == len(seen)


def test_a_moved_port_moves_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_MLFLOW_PORT", "5777")
    assert Settings().mlflow_url == "http://127.0.0.1:5777"
    monkeypatch.setenv("RELAY_MLFLOW_URL", "http://mlflow:5000")
    assert Settings().mlflow_url == "http://mlflow:5000"


def test_people_are_sent_where_programs_go_unless_their_way_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RELAY_MLFLOW_URL", "http://mlflow:5000")
    assert Settings().mlflow_link == "http://mlflow:5000"
    monkeypatch.setenv("RELAY_MLFLOW_LINK", "http://127.0.0.1:5001")
    assert Settings().mlflow_url == "http://mlflow:5000"
    assert Settings().mlflow_link == "http://127.0.0.1:5001"


def test_mlflow_is_asked_with_the_password_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("known to two\n")
    settings = Settings(mlflow_url="http://127.0.0.1:1", mlflow_password_file=tmp_path / "password")
    with patch.dict(os.environ):  # MLflow's client reads it there, so that is where we put it
        with pytest.raises(TrackingError, match="does not answer"):
            Tracking.of(settings)
        login = read_mlflow_creds()
    assert (login.username, login.password) == ("relay", "known to two")
