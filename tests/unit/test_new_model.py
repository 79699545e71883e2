"""`relay new`: what it writes is whole and named, and what it refuses it says why."""

from pathlib import Path

import pytest
import yaml

from pipelines import models, new_model, policy
from pipelines.exits import Refused
from tests.programs import ROOT
from tests.unit.test_cli import clear, relay


def test_every_file_is_written_with_the_name(tmp_path: Path) -> None:
    made = new_model.create("visits", tmp_path)
    written = {path.name: path.read_text() for path in made.iterdir()}
    assert set(written) == {path.name for path in new_model.TEMPLATE.iterdir() if path.is_file()}
    assert not [name for name, text in written.items() if "$" in text]
    assert policy.read(made / "params.yaml").model == "visits"
    assert [path.name for path in tmp_path.iterdir()] == ["visits"]


def test_the_template_is_no_model() -> None:
    names = models.names()
    assert "new_model" not in names
    assert "template" not in names


def test_its_batches_are_always_the_same_and_as_its_policy_says() -> None:
    from pipelines.new_model.template import feed

    columns = yaml.safe_load((new_model.TEMPLATE / "params.yaml").read_text())["data"]["columns"]
    for name in feed.batch_names():
        batch = feed.read_batch(name)
        assert batch.equals(feed.read_batch(name))
        assert list(batch) == list(columns)
        assert batch["visit_id"].is_unique
        assert batch["visited_at"].is_monotonic_increasing
    with pytest.raises(ValueError, match="'2030-01' is not in the feed"):
        feed.read_batch("2030-01")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        *[
            (name, "lower-case letters")
            for name in ("", "1st", "my-model", "Visits", "größe", "_x")
        ],
        *[(name, "lower-case letters") for name in ("../visits", "a/b", "visits\n", "a.b")],
        ("class", "reserved"),
        ("relay", "reserved"),
        ("x" * 41, "41 characters"),
        ("training", "pipelines/training.py is there already"),
        ("steps", "pipelines/steps is there already"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, why: str) -> None:
    before = sorted(models.FOLDER.iterdir())
    with pytest.raises(Refused, match=why):
        new_model.create(name)
    assert sorted(models.FOLDER.iterdir()) == before


def test_a_model_is_not_written_over(tmp_path: Path) -> None:
    mine = new_model.create("visits", tmp_path) / "feed.py"
    mine.write_text("mine")
    with pytest.raises(Refused, match="pipelines/visits is there already"):
        new_model.create("visits", tmp_path)
    assert mine.read_text() == "mine"


def test_what_cannot_be_written_whole_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = tmp_path / "template"
    template.mkdir()
    (template / "a.py").write_text("fine")
    (template / "b.py").write_text("$nobody knows this one")
    monkeypatch.setattr(new_model, "TEMPLATE", template)
    models_folder = tmp_path / "pipelines"
    models_folder.mkdir()
    with pytest.raises(KeyError, match="nobody"):
        new_model.create("visits", models_folder)
    assert not list(models_folder.iterdir())


def test_the_command_refuses_in_one_line(tmp_path: Path) -> None:
    done = relay(tmp_path, "new", "my-model")
    assert done.returncode == 65
    assert clear(done).startswith("refused: 'my-model' cannot be a model's name: it is a Python")
    assert not (ROOT / "pipelines/my-model").exists()
