"""The data registry on real git and DVC: many writers, killed writers, other machines, no disk."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pandas as pd
import pytest

from pipelines.datasets import Batch, BatchConflict, DataRegistry, DatasetVersion, RegistryError
from tests.programs import ROOT, wait_for

PUBLISHER = """
import sys
from dvc.repo import Repo  # slow to import: done before the starting signal
from tests.integration.test_datasets import batch, open_registry, rows
from pathlib import Path

registry, day = open_registry(Path(sys.argv[1])), int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
print(registry.publish("numbers", batch(day), rows(day)).tag)
"""


def open_registry(folder: Path, cache: str = "cache") -> DataRegistry:
    return DataRegistry(str(folder / "registry.git"), str(folder / "remote"), folder / cache)


def rows(day: int) -> pd.DataFrame:
    times = pd.date_range(f"2013-01-{day:02d}", periods=24, freq="h", tz="UTC")
    return pd.DataFrame({"id": [f"{day}-{hour}" for hour in range(24)], "time": times, "day": day})


def batch(day: int, name: str = "", content: str = "") -> Batch:
    times = rows(day)["time"]
    return Batch(
        name=name or f"day-{day:02d}",
        sha256=content or f"{day:064d}",
        rows=len(times),
        start=times.min().isoformat(),
        end=times.max().isoformat(),
    )


def publish(registry: DataRegistry, *days: int) -> DatasetVersion:
    return [registry.publish("numbers", batch(day), rows(day)) for day in days][-1]


def git(folder: Path, *arguments: str) -> list[str]:
    if not (folder / "registry.git").exists():
        return []  # the first writer was killed before it had made one
    command = ["git", "-C", str(folder / "registry.git"), *arguments]
    return subprocess.check_output(command, text=True).splitlines()


def assert_whole(folder: Path, asked: DataRegistry) -> list[DatasetVersion]:
    """Every tag is a version, each adds one batch to the one before, and all of it is there."""
    versions = asked.versions("numbers")
    assert [v.tag for v in versions] == git(folder, "tag", "--sort=version:refname")
    assert [v.version for v in versions] == list(range(1, len(versions) + 1))
    assert [len(v.batches) for v in versions] == [v.version for v in versions]
    if versions:
        history = git(folder, "rev-list", "--reverse", "main")
        assert [v.revision for v in versions] == history  # a line: no merges, nothing untagged
        shutil.rmtree(asked.cache, ignore_errors=True)  # as any other machine would see it
    for version in versions:
        days = [int(held.name[-2:]) for held in version.batches]
        pd.testing.assert_frame_equal(
            asked.read(version), pd.concat(map(rows, days), ignore_index=True)
        )
    return versions


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Callable[[int], "subprocess.Popen[str]"]]:
    """Start a process that publishes one day when it is sent a line."""
    with ExitStack() as stack:

        def begin(day: int) -> "subprocess.Popen[str]":
            process = subprocess.Popen(
                [sys.executable, "-c", PUBLISHER, str(tmp_path), str(day)],
                cwd=ROOT,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield begin


def at_once(processes: "list[subprocess.Popen[str]]") -> list[str]:
    for process in processes:
        assert pipe(process.stdout).readline() == "ready\n"
    said = []
    for process in processes:
        pipe(process.stdin).write("\n")
        pipe(process.stdin).flush()
    for process in processes:
        said.append(pipe(process.stdout).read().strip())
        assert process.wait() == 0
    return said


def pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def test_several_processes_at_once_make_one_line_of_versions(
    tmp_path: Path, publisher: Callable[[int], "subprocess.Popen[str]"]
) -> None:
    said = at_once([publisher(day) for day in (1, 2, 3, 4)])  # as many as a DAG has runs
    assert sorted(said) == [f"numbers/v{version}" for version in (1, 2, 3, 4)]
    versions = assert_whole(tmp_path, open_registry(tmp_path, "elsewhere"))
    assert {held.name for held in versions[-1].batches} == {f"day-0{day}" for day in (1, 2, 3, 4)}


def test_the_same_batch_from_several_processes_is_one_version(
    tmp_path: Path, publisher: Callable[[int], "subprocess.Popen[str]"]
) -> None:
    assert at_once([publisher(5) for _ in range(3)]) == ["numbers/v1"] * 3
    assert len(assert_whole(tmp_path, open_registry(tmp_path, "elsewhere"))) == 1


def test_a_killed_writer_leaves_nothing_half(
    tmp_path: Path, publisher: Callable[[int], "subprocess.Popen[str]"]
) -> None:
    registry, elsewhere = open_registry(tmp_path), open_registry(tmp_path, "elsewhere")
    moments = (0.02, 0.08, 0.15, 0.2, 0.25, 0.35)  # seconds; a publication takes half of one
    doomed = [publisher(day) for day in range(1, len(moments) + 1)]
    for day, (process, moment) in enumerate(zip(doomed, moments, strict=True), start=1):
        assert pipe(process.stdout).readline() == "ready\n"
        pipe(process.stdin).write("\n")
        pipe(process.stdin).flush()
        try:
            process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        wait_for(lambda: gone(process.pid), "its git, which nobody killed")  # noqa: B023
        left = assert_whole(tmp_path, elsewhere)
        if day % 2:  # its own retry works; after the others, the next one's
            held = publish(registry, day)
            assert held in left or held.version == len(left) + 1
    versions = assert_whole(tmp_path, elsewhere)
    assert {f"day-0{day}" for day in (1, 3, 5)} <= {held.name for held in versions[-1].batches}


def gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def test_another_machine_reads_and_publishes(tmp_path: Path) -> None:
    publish(open_registry(tmp_path), 1, 2)
    another = open_registry(tmp_path, "empty")
    assert publish(another, 3).tag == "numbers/v3"
    assert len(assert_whole(tmp_path, another)) == 3


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    version = publish(registry, 1, 2, 3)
    since = registry.read(version, since="2013-01-02T23:00:00+00:00")
    assert sorted(since["day"].unique()) == [2, 3]
    later = registry.read(version, since="2013-01-02T23:00:01+00:00")
    assert sorted(later["day"].unique()) == [3]


def test_a_version_is_found_by_tag_and_by_revision(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    version = publish(registry, 1)
    assert registry.get("numbers", "numbers/v1") == registry.get("numbers", version.revision)
    with pytest.raises(RegistryError, match=r"'numbers' has no version 'numbers/v9' in .*registry"):
        registry.get("numbers", "numbers/v9")


@pytest.mark.parametrize(
    ("contradiction", "text"),
    [
        (batch(1, content="other"), "already in numbers/v1 with other content"),
        (batch(1, name="day-1-again", content="other"), "repeats the time of day-01"),
    ],
)
def test_a_contradiction_is_refused(tmp_path: Path, contradiction: Batch, text: str) -> None:
    registry = open_registry(tmp_path)
    publish(registry, 1)
    with pytest.raises(BatchConflict, match=text):
        registry.publish("numbers", contradiction, rows(1))
    assert len(registry.versions("numbers")) == 1


def test_a_remote_that_cannot_be_written_makes_no_version(tmp_path: Path) -> None:
    (tmp_path / "remote").write_text("a file, where a folder should be")
    with pytest.raises(RegistryError, match=str(tmp_path / "remote")):
        publish(open_registry(tmp_path), 1)
    assert git(tmp_path, "tag") == []
    (tmp_path / "remote").unlink()
    assert publish(open_registry(tmp_path), 1).tag == "numbers/v1"


def test_a_remote_that_lost_its_data_is_said(tmp_path: Path) -> None:
    version = publish(open_registry(tmp_path), 1)
    shutil.rmtree(tmp_path / "remote")
    with pytest.raises(RegistryError, match="registry"):
        open_registry(tmp_path, "empty").read(version)


def test_a_registry_that_refuses_a_push_says_why(tmp_path: Path) -> None:
    publish(open_registry(tmp_path), 1)
    hook = tmp_path / "registry.git/hooks/update"  # asked of each ref: it lets the tag pass
    hook.write_text("#!/bin/sh\ncase $1 in refs/heads/*) echo the disk is full; exit 1; esac\n")
    hook.chmod(0o755)
    with pytest.raises(RegistryError, match=r"(?s)registry\.git: git push.*the disk is full"):
        publish(open_registry(tmp_path), 2)
    assert git(tmp_path, "tag") == ["numbers/v1"]


@pytest.mark.parametrize(
    "url", ["file:///there/is/none", "https://127.0.0.1:1/none.git", "127.0.0.1:none.git"]
)
def test_a_registry_that_is_not_there_is_said(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_SSH_COMMAND", "false")  # nobody to talk to
    monkeypatch.chdir(tmp_path)
    registry = DataRegistry(url, str(tmp_path / "remote"), tmp_path / "cache")
    with pytest.raises(RegistryError, match=url):
        registry.versions("numbers")
    with pytest.raises(RegistryError, match=url):
        publish(registry, 1)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_no_registry_is_said(tmp_path: Path) -> None:
    (tmp_path / "registry.git").mkdir()
    (tmp_path / "registry.git/letter.txt").write_text("dear reader")
    with pytest.raises(RegistryError, match=str(tmp_path / "registry.git")):
        open_registry(tmp_path).versions("numbers")


def test_asking_makes_no_registry(tmp_path: Path) -> None:
    assert open_registry(tmp_path).latest("numbers") is None
    assert not list(tmp_path.iterdir())


def test_a_relative_remote_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    registry = DataRegistry("registry.git", "remote", Path("cache"))
    publish(registry, 1)
    shutil.rmtree("cache")
    assert len(registry.read(registry.versions("numbers")[0])) == 24
