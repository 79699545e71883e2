"""Everything that the locks pin, asked of the advisory database: nothing known to be vulnerable."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from services.embedded.install import locked_torch
from tests.programs import ROOT

LOCKS = ["relay.txt", "airflow.txt", "pipelines.txt", "torch"]  # serving's are among relay's
EXPLAINED: dict[str, str] = {}  # advisory -> why it cannot hurt us; empty is what it should be


@pytest.mark.parametrize("lock", LOCKS)
def test_no_known_vulnerability_is_locked(lock: str) -> None:
    command = [
        str(Path(sys.executable).with_name("pip-audit")),
        "--disable-pip",
        "--require-hashes",
    ]
    command += ["--requirement", f"locks/{lock}", "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if "ConnectionError" in done.stderr or "ServiceError" in done.stderr:
        pytest.skip(f"not audited: {done.stderr.strip()[-200:]}")
    found = json.loads(done.stdout)["dependencies"]
    audited = [each for each in found if "vulns" in each]
    if not audited:
        pytest.skip(f"not audited: the advisory database knows nothing, {found[0]['skip_reason']}")
    vulnerable = {
        f"{each['name']} {each['version']}: {advisory['id']}"
        for each in audited
        for advisory in each["vulns"]
        if advisory["id"] not in EXPLAINED
    }
    assert not vulnerable
    left_out = [each["name"] for each in found if "vulns" not in each]
    assert not left_out, "not audited, though others were"
