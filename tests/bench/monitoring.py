"""`python -m tests.bench.monitoring`: ours on a whole window, Evidently alone on a part; a table.

And JSON under `<RELAY_HOME>/bench/`. Every contender runs in a process of its own, one at a time.
Nothing is asserted: what a machine does is for a person to judge.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

AIM = "10,000,000 rows x 12 columns in 30 s and less than 1 GB on 2 cores"


def main() -> int:
    """Measure and show; 1 where a contender failed."""
    given = _arguments()
    rounds = [("relay", given.rows), *(("evidently", rows) for rows in given.evidently)]
    found, machine = [], _machine()  # before we load it ourselves
    _say(f"{machine['cores']} cores, load {machine['load']:.1f} of others")
    with TemporaryDirectory(prefix="relay-bench-") as home:
        log = Path(home, "prediction-log")
        made = _run("make", log, given.rows)
        _say(f"a log of {given.rows:,} predictions and labels, made in {made['seconds']:.0f} s")
        for who, rows in rounds:
            found.append({"who": who, "rows": rows, **_run(who, log, rows)})
    _say(f"aim: {AIM}\n\n{'':24}{'rows':>12}{'seconds':>10}{'processor s':>13}{'peak MB':>10}")
    for each in found:
        name = {"relay": "relay, from disk", "evidently": "Evidently's preset"}[each["who"]]
        wall, processors = each["seconds"], each["processor_seconds"]
        peak = each["peak_bytes"] / 1e6
        _say(f"{name:24}{each['rows']:>12,}{wall:>10.1f}{processors:>13.1f}{peak:>10,.0f}")
    folder = Path(os.environ.get("RELAY_HOME", ".relay")).absolute() / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / "monitoring.json"
    written.write_text(json.dumps({"machine": machine, "aim": AIM, "measured": found}, indent=2))
    _say(f"\nwritten to {written}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.monitoring", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="predictions in the window")
    parser.add_argument(
        "--evidently",
        type=int,
        nargs="*",
        default=[100_000, 1_000_000],
        help="rows a side for Evidently's DataDriftPreset; 5000000 takes more than ten minutes",
    )
    return parser.parse_args()


def _run(who: str, log: Path, rows: int) -> dict[str, Any]:
    _say(f"{who}, {rows:,} rows ...")
    command = [sys.executable, "-m", "tests.bench.contenders", who, str(log), str(rows)]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"DO_NOT_TRACK": "1"},
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _machine() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
