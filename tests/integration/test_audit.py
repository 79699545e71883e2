"""Everything that the locks pin, asked of the advisory database: nothing known to be vulnerable."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from services.embedded.install import LOCKS, locked_torch

AUDITED = ["relay.txt", "airflow.txt", "pipelines.txt", "torch"]  # serving's are among relay's
EXPLAINED: dict[str, str] = {}  # advisory -> why it cannot hurt us; empty is what it should be


def pinned(lock: str, folder: Path) -> list[str]:
    """Say to pip-audit what is pinned; the database does not know torch's variants."""
    if lock != "torch":
        return ["--require-hashes", "--requirement", str(LOCKS / lock)]
    alone = folder / "torch.txt"
    alone.write_text(f"torch=={locked_torch()}\n")
    return ["--no-deps", "--requirement", str(alone)]


@pytest.mark.parametrize("lock", AUDITED)
def test_no_known_vulnerability_is_locked(lock: str, tmp_path: Path) -> None:
    audit = str(Path(sys.executable).with_name("pip-audit"))
    command = [audit, "--disable-pip", "--format", "json", "--progress-spinner", "off"]
    command += pinned(lock, tmp_path)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "ConnectionError" in done.stderr or "ServiceError" in done.stderr:
        pytest.skip(f"not audited: {done.stderr.strip()[-200:]}")
    found = json.loads(done.stdout)["dependencies"]
    audited = [each for each in found if "vulns" in each]
    if not audited:
        pytest.skip(f"not audited, the advisory database is out of reach: {found[0]}")
    vulnerable = {
        f"{each['name']} {each['version']}: {advisory['id']}"
        for each in audited
        for advisory in each["vulns"]
        if advisory["id"] not in EXPLAINED
    }
    assert not vulnerable
    assert len(audited) == len(found), "some were not audited, though others were"
