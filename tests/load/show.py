"""A bench in, its tables out: who answers how much, who waits how long, and the aims beside it."""

from rich.console import Console
from rich.table import Table

from tests.load.aims import Aim, aims
from tests.load.figures import BARE, WORKLOADS, Bench, Row

QUIET = 0.05  # of the server's core


def show(bench: Bench, console: Console) -> None:
    """Lay all of it out."""
    for table in (throughput(bench), saturation(bench), swaps(bench), held(aims(bench))):
        console.print()
        console.print(table)
    if bench.others() > QUIET:
        console.print(
            f"\nthe machine was not quiet: others took up to {bench.others():.0%} of the server's "
            "core: measure again (what is by CPU suffers least)"
        )
    for server, why in bench.not_run.items():
        console.print(f"\nnot run: {server}: {why}", markup=False, highlight=False)


def throughput(bench: Bench) -> Table:
    """Closed loop: a row for each workload and server, the fastest first."""
    title = f"closed loop (wrk), {bench.connections} connections, one core for the server"
    right = ("requests/s", "of bare", "x best peer", "p50 ms", "p99 ms", "CPU s/1,000", "MB")
    table = _table(title, ("workload", "server"), right)
    rows = bench.rows("closed")
    for workload in WORKLOADS:
        bare, peer = bench.row("closed", BARE, workload), bench.best_peer(workload)
        of_workload = [row for row in rows if row.workload == workload]
        for row in sorted(of_workload, key=lambda row: -row.per_second):
            table.add_row(
                workload,
                row.server,
                f"{row.per_second:,.0f}",
                f"{row.per_second / bare.per_second:.0%}" if bare else "-",
                f"{row.per_second / peer.per_second:.1f}" if peer else "-",
                f"{row.p50_ms:,.1f}",
                f"{row.p99_ms:,.1f}",
                f"{row.cpu_per_thousand:.3f}",
                f"{row.memory_mb:,.0f}",
                _errors(row),
            )
        table.add_section()
    return table


def saturation(bench: Bench) -> Table:
    """Open loop: each peer at the load that saturates it, and ours at the same."""
    title = "open loop, single rows, at each peer's own saturation load"
    right = ("offered/s", "its p50 ms", "its p99 ms", "our p50 ms", "our p99 ms", "ours of its p99")
    table = _table(title, ("peer",), (*right, "client late p99 ms"))
    for peer, ours in bench.saturation():
        table.add_row(
            peer.server,
            f"{peer.rate:,.0f}",
            f"{peer.p50_ms:,.1f}",
            f"{peer.p99_ms:,.1f}",
            f"{ours.p50_ms:,.1f}",
            f"{ours.p99_ms:,.1f}",
            f"{ours.p99_ms / peer.p99_ms:.1%}" if peer.p99_ms else "-",
            f"{ours.client_late_p99_ms:.2f}",
            "; ".join(filter(None, (_named(peer), _named(ours)))),
        )
    return table


def swaps(bench: Bench) -> Table:
    """Open loop on ours, with and without swaps."""
    right = ("offered/s", "answered/s", "swaps", "p50 ms", "p99 ms", "client late p99 ms")
    table = _table("open loop on ours while versions change", ("champion",), right)
    for kind, what in (("steady", "stays"), ("swaps", "changes")):
        for row in bench.rows("steady" if kind == "steady" else "swaps"):
            table.add_row(
                what,
                f"{row.rate:,.0f}",
                f"{row.per_second:,.0f}",
                str(row.swaps),
                f"{row.p50_ms:,.1f}",
                f"{row.p99_ms:,.1f}",
                f"{row.client_late_p99_ms:.2f}",
                _errors(row),
            )
    return table


def held(found: list[Aim]) -> Table:
    """What was aimed at beside what was measured."""
    table = Table("figure", "aim", "measured", "held", title="ours", title_justify="left")
    words = {True: "yes", False: "[bold]no[/]", None: ""}
    for aim in found:
        table.add_row(aim.what, aim.aim, aim.measured, words[aim.held])
    return table


def _table(title: str, left: tuple[str, ...], right: tuple[str, ...]) -> Table:
    table = Table(*left, title=title, title_justify="left")
    for name in right:
        table.add_column(name, justify="right")
    table.add_column("errors")
    return table


def _errors(row: Row) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in row.errors.items())


def _named(row: Row) -> str:
    return f"{row.server}: {_errors(row)}" if row.errors else ""
