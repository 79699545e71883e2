"""The stack's secrets: made once, at random, handed out to those who need them."""

import json
import os
import stat
from pathlib import Path

import pytest

from services.secrets.__main__ import MADE, folders, hand_out, keep


def test_each_is_made_once_and_is_like_no_other(tmp_path: Path) -> None:
    made = keep(tmp_path)
    assert keep(tmp_path) == made
    assert set(made) == set(MADE)
    assert len(set(made.values())) == len(made)
    assert all(len(secret) >= 32 for secret in made.values())


def test_one_that_is_missing_is_made_and_the_others_stay(tmp_path: Path) -> None:
    made = keep(tmp_path)
    (tmp_path / "kept/airflow-admin").unlink()
    again = keep(tmp_path)
    assert {name for name in made if again[name] != made[name]} == {"airflow-admin"}


def test_one_that_a_person_puts_there_is_taken(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/s3-access-key").write_text("AKIA-of-theirs\n")
    _, files = folders(keep(tmp_path))["mlflow"]
    assert "aws_access_key_id = AKIA-of-theirs\naws_secret" in files["s3"]


def test_a_folder_holds_what_its_service_needs_and_no_more(tmp_path: Path) -> None:
    made = keep(tmp_path)
    handed = {name: "".join(files.values()) for name, (_, files) in folders(made).items()}
    holders = {secret: {name for name in handed if made[secret] in handed[name]} for secret in made}
    assert holders["postgres-postgres"] == {"postgres"}
    assert holders["mlflow-admin"] == {"mlflow", "person"}
    assert holders["airflow-admin"] == {"airflow-api-server", "person"}
    assert holders["registry-events"] == {"serving", "person"}
    assert holders["grafana-admin"] == {"grafana", "person"}
    assert holders["s3-secret-key"] == {
        *("seaweedfs", "bucket", "mlflow", "airflow-scheduler", "person"),
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to another user")
def test_only_its_user_can_read_a_file(tmp_path: Path) -> None:
    hand_out(tmp_path, keep(tmp_path))
    for name, (user, files) in folders(keep(tmp_path)).items():
        for file in (tmp_path / name, *(tmp_path / name / each for each in files)):
            assert file.stat().st_uid == user
            assert not stat.S_IMODE(file.stat().st_mode) & 0o077
    passwords = json.loads((tmp_path / "airflow-api-server/passwords.json").read_text())
    assert set(passwords) == {"admin", "exporter"}
