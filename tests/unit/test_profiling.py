import gzip
import json
import re
from pathlib import Path

import pytest
import torch

from pipelines.profiling import SKIPPED, TRACED, WARM_UP, tracing


def trace(path: Path, steps: int) -> list[str]:
    """Names of what was traced of as many steps; empty where there is no trace."""
    with tracing(path) as on_step:
        for _ in range(steps):
            torch.ones(8) @ torch.ones(8)
            on_step()
    if not path.exists():
        return []
    return [event.get("name", "") for event in json.loads(gzip.open(path).read())["traceEvents"]]


def test_a_few_steps_are_traced_however_many_there_are(tmp_path: Path) -> None:
    path = tmp_path / "steps.trace.json.gz"
    names = trace(path, 1000)
    assert names.count("aten::dot") == TRACED
    assert path.stat().st_size < 100_000


def test_a_short_training_has_a_short_trace_or_none(tmp_path: Path) -> None:
    before = SKIPPED + WARM_UP
    assert trace(tmp_path / "one.json.gz", before + 1).count("aten::dot") == 1
    assert trace(tmp_path / "none.json.gz", before - 1) == []


def test_the_slowest_operators_are_named_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    large = torch.ones(400, 400)
    with tracing(tmp_path / "steps.trace.json.gz") as on_step:
        for _ in range(SKIPPED + WARM_UP + TRACED):
            (large @ large).sum()
            on_step()
    (line,) = (record.getMessage() for record in caplog.records)
    first = line.removeprefix("slowest operators of the traced steps: ").split(", ")[0]
    assert re.fullmatch(r"aten::mm [\d.]+ ms \(\d+%\)", first)
