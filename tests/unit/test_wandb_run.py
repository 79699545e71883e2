"""The real package, offline: what Weights & Biases keeps of a run until it is synced."""

import json
import re
import sys
from pathlib import Path

import pytest

from pipelines.exits import Refused
from pipelines.settings import Settings
from pipelines.wandb_run import wandb_run

LINK = "http://127.0.0.1:5000/#/experiments/1/runs/one"


def written(home: Path) -> bytes:
    (folder,) = (home / "wandb").glob("offline-run-*-one")
    return (folder / "run-one.wandb").read_bytes()


def test_a_run_is_written_down_for_a_later_sync(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("k" * 40)
    settings = Settings(home=tmp_path, wandb="offline", wandb_api_key_file=key)
    with wandb_run(settings, "one", "flights", {"network.hidden": 128}, LINK) as tell:
        tell({"train_log_loss": 0.4321}, 1)
        tell({"train_log_loss": 0.3217}, 2)
        tell({"holdout/log_loss": 0.3725}, None)
    kept = written(tmp_path)
    for text in ("network.hidden", json.dumps(LINK), "0.4321", "0.3217", "holdout/log_loss"):
        assert text.encode() in kept, text
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path != key]
    assert not [path for path in files if b"kkkkk" in path.read_bytes()], "the key is a secret"


def test_a_training_that_fails_is_a_failed_run(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, wandb="offline")
    with (
        pytest.raises(ZeroDivisionError),
        wandb_run(settings, "one", "flights", {}, LINK) as tell,
    ):
        tell({"train_log_loss": 1 / 0}, 1)
    assert re.search(rb"\x92\x01.{0,3}\x08\x01", written(tmp_path), re.S)  # its exit code


def test_off_nothing_is_imported_or_written(tmp_path: Path) -> None:
    loaded = "wandb" in sys.modules
    with wandb_run(Settings(home=tmp_path), "one", "flights", {}, LINK) as tell:
        tell({"train_log_loss": 0.5}, 1)
    assert ("wandb" in sys.modules) == loaded
    assert not list(tmp_path.iterdir())


def test_where_it_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    asked = wandb_run(Settings(home=tmp_path, wandb="offline"), "one", "flights", {}, LINK)
    with pytest.raises(Refused, match=r"pip install 'relay\[wandb\]'"), asked:
        pass
