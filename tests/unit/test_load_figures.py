"""The serving bench's arithmetic: medians, ratios, aims, its tables, its JSON, its picture."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tests.load import figures, plot
from tests.load.aims import Aim, aims
from tests.load.figures import BARE, BATCHES, OURS, TENSOR, Bench, Run
from tests.load.generators import read_figures, want_wrk
from tests.load.processes import BenchError
from tests.load.show import show

WRK = """Running 1s test @ http://127.0.0.1:1/
  1 threads and 32 connections

{"requests": 100, "seconds": 1.0, "p50_ms": 1.5, "p99_ms": 9.0, "errors": {"read": 0, "status": 7}}
"""


def run(server: str, per_second: float, **rest: object) -> Run:
    one = Run(
        server=server,
        workload=TENSOR,
        kind="closed",
        round=1,
        requests=round(per_second * 2),
        seconds=2.0,
        p50_ms=1.0,
        p99_ms=4.0,
        errors={},
        cpu_seconds=2.0,
        memory_mb=50.0,
    )
    return replace(one, **rest)  # type: ignore[arg-type]


def bench(*runs: Run, **not_run: str) -> Bench:
    return Bench({"cpus": 2}, 32, 2.0, list(runs), not_run)


def aim(of: Bench, starts: str) -> Aim:
    (found,) = (aim for aim in aims(of) if aim.what.startswith(starts))
    return found


FULL = bench(
    run(OURS, 700),
    run(BARE, 1000),
    run("slow", 40),
    run("fast", 50),
    run("tuned", 100, tuned=True),
    run("fast", 50, kind="open", rate=50.0, p99_ms=100.0),
    run(OURS, 50, kind="open", rate=50.0, p99_ms=5.0),
    run("tuned", 100, kind="open", rate=100.0, p99_ms=6.0, tuned=True),
    run(OURS, 100, kind="open", rate=100.0, p99_ms=5.0),
    run(OURS, 350, kind="steady", rate=350.0, p99_ms=4.0),
    run(OURS, 350, kind="swaps", rate=350.0, p99_ms=8.0, swaps=10),
)


def test_a_generators_figures_are_its_last_line_and_only_errors_that_there_were() -> None:
    assert read_figures(WRK)["requests"] == 100
    assert read_figures(WRK)["errors"] == {"status": 7}
    with pytest.raises(BenchError, match="unable to connect"):
        read_figures("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_a_row_is_the_median_of_its_rounds_and_the_sum_of_their_errors() -> None:
    runs = [
        run(OURS, 100),
        run(OURS, 300, errors={"status": 2}),
        run(OURS, 110, errors={"read": 1}),
    ]
    row = bench(*runs, run(BARE, 9), run(OURS, 8, workload=BATCHES)).row("closed", OURS, TENSOR)
    assert row is not None
    assert row.per_second == 110
    assert row.cpu_per_thousand == pytest.approx(1000 * 2.0 / 220)
    assert row.errors == {"status": 2, "read": 1}


@pytest.mark.parametrize(
    ("starts", "measured", "held"),
    [
        (f"of the bare server's requests/s: {TENSOR}", "70%", True),
        (f"of the bare server's requests/s: {BATCHES}", "not measured", None),
        (f"times the requests/s of the best peer, fast: {TENSOR}", "14.0", True),
        (f"times that of tuned: {TENSOR}", "7.0", None),
        ("of a peer's p99", "5.0%", True),
        ("times its p99 without swaps", "2.00", False),
        ("MB of memory", "50", True),
    ],
)
def test_the_figures_are_held_against_the_aims(
    starts: str, measured: str, held: bool | None
) -> None:
    found = aim(FULL, starts)
    assert found.measured.startswith(measured)
    assert found.held is held


def test_figures_with_errors_hold_no_aim() -> None:
    wrong = bench(*(replace(run, errors={"status": 1}) for run in FULL.runs))
    assert not [aim for aim in aims(wrong) if aim.held and not aim.what.startswith("MB")]
    assert aim(wrong, "times its p99").measured == "not measured"


def test_no_swap_is_no_measure_of_swaps() -> None:
    still = bench(*(replace(run, swaps=0) for run in FULL.runs))
    assert aim(still, "times its p99").held is None


def test_the_peers_p99_is_not_known_where_it_answered_nothing() -> None:
    silent = bench(*(replace(run, p99_ms=0) if run.server == "fast" else run for run in FULL.runs))
    assert aim(silent, "of a peer's p99").held is None


def test_json_comes_back_as_it_was(tmp_path: Path) -> None:
    assert figures.read(figures.write(FULL, tmp_path / "bench/serving.json")) == FULL


def shown(of: Bench) -> str:
    screen = StringIO()
    show(of, Console(width=180, file=screen))
    return screen.getvalue()


def test_the_tables_say_what_went_wrong() -> None:
    text = shown(bench(*FULL.runs, run("sick", 900, errors={"status": 3}), absent="no [venv]"))
    (line,) = (line for line in text.splitlines() if "sick" in line)
    assert "3 status" in line
    assert "not run: absent: no [venv]" in text
    assert "the best peer, fast" in text, "a peer with errors is the best of none"
    assert "not quiet" not in text


def test_the_tables_say_when_others_took_the_servers_core() -> None:
    assert "others took up to 31%" in shown(bench(*FULL.runs, run("x", 1, others=0.31)))


def test_the_picture_is_drawn_whatever_was_measured(tmp_path: Path) -> None:
    for name, of in (("full", FULL), ("less", bench(run(BARE, 9)))):
        file = plot.draw(of, tmp_path / f"{name}.png")
        assert file.read_bytes().startswith(b"\x89PNG")


def test_missing_wrk_is_said_with_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchError, match="apt-get install wrk"):
        want_wrk()
