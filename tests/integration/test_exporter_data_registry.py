"""The exporter on a data registry that the pipelines made, by git and DVC."""

import shutil
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from pipelines.datasets import Batch, DataRegistry
from tests.exporter_program import exporter, scrape, shown, up
from tests.programs import Program, free_port, wait_for

Start = Callable[[AbstractContextManager[Program]], Program]


def publish(home: Path, month: int, rows: int) -> None:
    registry = DataRegistry(
        str(home / "data-registry.git"), str(home / "data-remote"), home / "data-cache"
    )
    start, end = (datetime(2013, month, day, tzinfo=UTC).isoformat() for day in (1, 28))
    batch = Batch(f"2013-{month:02}", f"sha of {month}", rows, start, end)
    registry.publish("flights", batch, pd.DataFrame({"month": [month] * rows}))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a registry that holds two versions; each test works on a copy."""
    home = tmp_path_factory.mktemp("registry")
    publish(home, 1, rows=3)
    publish(home, 2, rows=4)
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "home")


def git(*arguments: str | Path) -> str:
    mine = ("-c", "user.name=Test", "-c", "user.email=test@localhost")
    return subprocess.run(
        ["git", *mine, *arguments], check=True, capture_output=True, text=True
    ).stdout


def test_the_newest_version_is_shown_and_a_newer_one_at_once(start: Start, home: Path) -> None:
    program = start(exporter(home))
    found = scrape(program)
    created = git("-C", home / "data-registry.git", "log", "-1", "--format=%ct", "flights/v2")
    assert found["relay_dataset_version"] == {("flights",): 2}
    assert found["relay_dataset_rows"] == {("flights",): 7}
    newest = datetime(2013, 2, 28, tzinfo=UTC).timestamp()
    assert found["relay_dataset_newest_event_timestamp_seconds"] == {("flights",): newest}
    assert found["relay_dataset_created_timestamp_seconds"] == {("flights",): float(created)}
    publish(home, 3, rows=5)
    wait_for(lambda: program.metric("relay_dataset_version") == 3, "the new version")
    assert program.metric("relay_dataset_rows") == 12


def test_the_newest_is_so_by_number_and_a_dataset_may_be_of_any_name(
    start: Start, home: Path
) -> None:
    registry = home / "data-registry.git"
    for tag in ("flights/v9", "flights/v10", "not-a-version"):
        git("-C", registry, "tag", tag, "flights/v1")
    git("-C", registry, "tag", "flights/v10x", "flights/v1")
    program = start(exporter(home))
    assert scrape(program)["relay_dataset_version"] == {("flights",): 10}
    assert scrape(program)["relay_dataset_rows"] == {("flights",): 3}


def test_a_registry_elsewhere_is_asked_by_its_address(start: Start, home: Path) -> None:
    registry = f"file://{home}/data-registry.git"
    program = start(exporter(home.parent, data_registry=registry))
    assert scrape(program)["relay_dataset_version"] == {("flights",): 2}


def test_refused_batches_are_counted_by_their_reports(start: Start, home: Path) -> None:
    program = start(exporter(home))
    assert scrape(program)["relay_quarantined_batches"] == {("flights",): 0}
    for model, batch in (("flights", "2013-03-a"), ("flights", "2013-03-b"), ("names", "first")):
        folder = home / "quarantine" / model
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{batch}.json").write_text("{}")
        (folder / f"{batch}.csv.gz").touch()
    wait_for(
        lambda: scrape(program)["relay_quarantined_batches"] == {("flights",): 2, ("names",): 1},
        "both to be counted",
    )


def break_nothing_there(home: Path) -> None:
    shutil.rmtree(home / "data-registry.git")


def break_not_a_registry(home: Path) -> None:
    (home / "data-registry.git" / "HEAD").unlink()


def break_quarantine(home: Path) -> None:
    (home / "quarantine").touch()


def break_no_pointer(home: Path) -> None:
    _tag_what_holds(home, "unrelated.dvc", "meta: {}")


def break_junk_pointer(home: Path) -> None:
    _tag_what_holds(home, "flights.dvc", "}{")


def break_no_batches(home: Path) -> None:
    _tag_what_holds(home, "flights.dvc", "meta: {batches: []}")


def _tag_what_holds(home: Path, name: str, content: str) -> None:
    clone = home / "clone"
    git("clone", "--quiet", home / "data-registry.git", clone)
    (clone / "flights.dvc").unlink()
    (clone / name).write_text(content)
    git("-C", clone, "add", "--all")
    git("-C", clone, "commit", "--quiet", "--message", "by hand")
    git("-C", clone, "tag", "flights/v3")
    git("-C", clone, "push", "--quiet", "origin", "flights/v3")


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (break_nothing_there, "does not appear to be a git repository"),
        (break_not_a_registry, "does not appear to be a git repository"),
        (break_quarantine, "Not a directory"),
        (break_no_pointer, "git show"),
        (break_junk_pointer, "flights/v3 does not say which batches"),
        (break_no_batches, "flights/v3 does not say which batches"),
    ],
)
def test_what_cannot_be_read_is_away_with_the_reason_and_nothing_old(
    start: Start, home: Path, break_it: Callable[[Path], None], reason: str
) -> None:
    program = start(exporter(home))
    assert up(program, "data_registry") == 1
    break_it(home)
    wait_for(lambda: up(program, "data_registry") == 0, "the registry to be away")
    assert not shown(program, "relay_dataset", "relay_quarantined")
    assert reason in program.output.read_text()


def test_before_the_first_batch_it_is_away_then_it_is_there(start: Start, tmp_path: Path) -> None:
    program = start(exporter(tmp_path))
    assert up(program, "data_registry") == 0
    publish(tmp_path, 1, rows=3)
    wait_for(lambda: up(program, "data_registry") == 1, "the registry")
    assert program.metric("relay_dataset_version") == 1


def test_a_password_in_its_address_is_in_no_log(start: Start, tmp_path: Path) -> None:
    address = f"http://user:secret@127.0.0.1:{free_port()}/registry.git"
    program = start(exporter(tmp_path, data_registry=address))
    assert up(program, "data_registry") == 0
    said = program.output.read_text()
    assert "registry.git" in said
    assert "secret" not in said
