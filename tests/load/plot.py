"""A bench in, a picture out: requests a second, CPU, and the wait at the peers' saturation."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tests.load.figures import BARE, BATCHES, OURS, TENSOR, Bench, Row

OURS_COLOUR, BARE_COLOUR, PEER_COLOUR, INK = "#2a6f97", "#c9cdd2", "#e0a458", "#333333"


def draw(bench: Bench, path: Path) -> Path:
    """Draw into a PNG."""
    figure = Figure(figsize=(13, 7.5), layout="constrained")
    FigureCanvasAgg(figure)
    (single, batches), (cpu, waits) = figure.subplots(2, 2)
    _bars(single, "requests/s, one row of 16 numbers", _rows(bench, TENSOR), "per_second", ",.0f")
    _bars(batches, "requests/s, 32 rows each", _rows(bench, BATCHES), "per_second", ",.0f")
    what = "CPU seconds per 1,000 requests of one row"
    _bars(cpu, what, _rows(bench, TENSOR), "cpu_per_thousand", ".3f")
    _waits(waits, bench)
    figure.suptitle(
        f"Serving on one core, {bench.connections} connections, JSON\n",
        color=INK,
        x=0.01,
        ha="left",
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path


def _rows(bench: Bench, workload: str) -> list[Row]:
    rows = [row for row in bench.rows("closed") if row.workload == workload]
    return sorted(rows, key=lambda row: row.per_second)


def _bars(axes: Axes, title: str, rows: list[Row], what: str, form: str) -> None:
    values = [getattr(row, what) for row in rows]
    bars = axes.barh(
        [row.server for row in rows], values, color=[_colour(row.server) for row in rows]
    )
    axes.bar_label(bars, [format(value, form) for value in values], padding=4, color=INK)
    _calm(axes, title)
    axes.margins(x=0.15)


def _waits(axes: Axes, bench: Bench) -> None:
    """Draw two bars a peer, on a logarithmic scale: a tenth is a whole step."""
    pairs = bench.saturation()[::-1]
    for shift, colour, side in ((0.2, PEER_COLOUR, 0), (-0.2, OURS_COLOUR, 1)):
        values = [pair[side].p99_ms for pair in pairs]
        at = [place + shift for place in range(len(pairs))]
        label = "the peer" if side == 0 else OURS
        bars = axes.barh(at, values, height=0.38, color=colour, label=label)
        axes.bar_label(bars, [f"{value:,.1f}" for value in values], padding=4, color=INK)
    names = [f"{peer.server}\n{peer.rate:,.0f}/s" for peer, _ in pairs]
    axes.set_yticks(range(len(pairs)), names)
    _calm(axes, "p99 in ms at a peer's saturation load, log scale")
    if pairs:
        axes.set_xscale("log")
        waits = [row.p99_ms for pair in pairs for row in pair if row.p99_ms]
        axes.set_xlim(min(waits, default=1) / 4, max(waits, default=1) * 4)
        axes.legend(frameon=False, loc="lower right")


def _colour(server: str) -> str:
    return {OURS: OURS_COLOUR, BARE: BARE_COLOUR}.get(server, PEER_COLOUR)


def _calm(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", color=INK, fontsize=11)
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.tick_params(length=0, colors=INK)
    axes.xaxis.set_visible(False)
