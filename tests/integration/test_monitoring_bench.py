"""`make bench-monitoring` on a few rows: that it runs and says what it measured, not how fast."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.programs import ROOT


def test_it_judges_the_log_that_it_makes_and_writes_what_it_measured(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.bench.monitoring", "--rows", "20000", "--evidently"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"RELAY_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"written to {tmp_path}/bench/monitoring.json" in done.stdout
    written = json.loads((tmp_path / "bench" / "monitoring.json").read_text())
    (relay,) = written["measured"]
    assert (relay["who"], relay["rows"]) == ("relay", 20_000)
    assert relay["seconds"] > 0
    assert relay["processor_seconds"] > 0
    assert relay["peak_bytes"] > 10e6
    assert written["machine"]["cores"] > 0
