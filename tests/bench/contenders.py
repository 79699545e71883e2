"""`python -m tests.bench.contenders <who> <log> <rows>`: one contender runs, a JSON line out."""

import json
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa

from tests.bench.prediction_log import MODEL, SCHEMA, make_features, write_labels, write_predictions

Taken = dict[str, float]
REFERENCE_ROWS = 100_000
_DAYS = 14


class Clock:
    """Runs from when it is made: on the wall, and the processors' in all our threads."""

    def __init__(self) -> None:
        self.wall, self.processors = time.perf_counter(), time.process_time()

    def taken(self) -> Taken:
        """Give the seconds so far; those of the processors hardly depend on who else runs."""
        wall, processors = time.perf_counter() - self.wall, time.process_time() - self.processors
        return {"seconds": wall, "processor_seconds": processors}

    def tell(self, what: str) -> None:
        """Say how far we are."""
        sys.stderr.write(f"  {what} after {self.taken()['seconds']:.1f} s\n")


def make(log: Path, rows: int) -> Taken:
    """Write the log that the monitor reads."""
    clock = Clock()
    write_predictions(log, rows)
    write_labels(log, rows)
    return clock.taken()


def relay(log: Path, rows: int) -> Taken:
    """Judge the window as the monitor does, from the files to the verdicts."""
    from monitoring.checks import run_checks
    from monitoring.read_window import newest_window, read_labels, sketch_window
    from monitoring.sketches import sketch_training
    from tests.monitor_windows import limits

    trained_on = _frame(REFERENCE_ROWS, seed=1000)
    labels = (trained_on.index % 4 == 0).astype("float64")
    reference = sketch_training(trained_on.assign(label=labels), SCHEMA, "binary")
    clock = Clock()
    window = newest_window(log, MODEL, _DAYS)
    clock.tell("found")
    known = read_labels(log, MODEL)
    clock.tell("labels")
    sketch, _ = sketch_window(log, window, SCHEMA, "binary", known, 5000)
    clock.tell("sketched")
    results = run_checks(window, reference, sketch, SCHEMA, limits())
    taken = clock.taken()
    if sketch.rows != rows or any(result.verdict == "unknown" for result in results):
        raise SystemExit(f"{sketch.rows} rows were judged, of {rows}: {results}")
    return taken


def evidently(_: Path, rows: int) -> Taken:
    """Run Evidently's DataDriftPreset on as many rows a side, that are in memory beforehand."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    texts = [name for name, column in SCHEMA.items() if column.type == "string"]
    numbers = [name for name in SCHEMA if name not in texts]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=texts)
    sides = [Dataset.from_pandas(_frame(rows, seed), data_definition=definition) for seed in (1, 2)]
    clock = Clock()
    Report([DataDriftPreset()]).run(*sides).dict()
    return clock.taken()


CONTENDERS = {"make": make, "relay": relay, "evidently": evidently}


def _frame(rows: int, seed: int) -> pd.DataFrame:
    frame: pd.DataFrame = pa.table(make_features(rows, seed)).to_pandas()
    return frame


def _peak_bytes() -> int:
    """Give the most memory that this process had (VmHWM: getrusage counts the parent's, too)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line for line in lines if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024


if __name__ == "__main__":
    who, where, count = sys.argv[1:]
    taken = CONTENDERS[who](Path(where), int(count))
    sys.stdout.write(json.dumps(taken | {"peak_bytes": _peak_bytes()}) + "\n")
