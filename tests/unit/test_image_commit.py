"""The commit that an image says it was built from: wherever git keeps it, or `unknown`."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "services/pipelines/commit.sh"


def told(checkout: Path) -> str:
    done = subprocess.run([SCRIPT, checkout], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet", "--initial-branch", "work/main")
    identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")
    git(tmp_path, *identity, "commit", "--quiet", "--allow-empty", "--message", "first")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", folder, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_of_a_branch(checkout: Path) -> None:
    assert told(checkout) == git(checkout, "rev-parse", "HEAD")


def test_of_a_branch_that_is_packed_as_in_a_fresh_clone(checkout: Path) -> None:
    git(checkout, "pack-refs", "--all")
    assert told(checkout) == git(checkout, "rev-parse", "HEAD")


def test_of_no_branch(checkout: Path) -> None:
    git(checkout, "checkout", "--quiet", "--detach")
    assert told(checkout) == git(checkout, "rev-parse", "HEAD")


def test_without_git_it_is_unknown(tmp_path: Path) -> None:
    assert told(tmp_path) == "unknown"
