"""A bench in; its figures beside what is aimed at out. A row with errors holds no aim."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.load.figures import BARE, BATCHES, OURS, TENSOR, WORKLOADS, Bench, Row

OF_BARE, OF_BARE_WISHED = 0.6, 0.75
TIMES_PEER = 12.0
OF_PEERS_P99 = 0.1
TIMES_STEADY_P99 = 1.5
MEMORY_MB = 150.0


@dataclass(frozen=True)
class Aim:
    """What is aimed at and what was measured; `held` is None where there is no saying."""

    what: str
    aim: str
    measured: str
    held: bool | None = None


def aims(bench: Bench) -> list[Aim]:
    """Give every aim, also those that could not be measured."""
    return [
        *(_of_bare(bench, workload) for workload in WORKLOADS),
        *(aim for workload in (TENSOR, BATCHES) for aim in _times_peer(bench, workload)),
        _of_peers_p99(bench),
        _of_steady_p99(bench),
        _memory(bench),
    ]


def _of_bare(bench: Bench, workload: str) -> Aim:
    what = f"of the bare server's requests/s: {workload}"
    aim = f"at least {OF_BARE:.0%}, better {OF_BARE_WISHED:.0%}"
    ours, bare = bench.row("closed", OURS, workload), bench.row("closed", BARE, workload)
    if ours is None or bare is None or ours.errors or bare.errors:
        return Aim(what, aim, "not measured")
    ratio = ours.per_second / bare.per_second
    measured = f"{ratio:.0%} (by CPU {_by_cpu(ours, bare):.0%})"
    return Aim(what, aim, measured, ratio >= OF_BARE)


def _times_peer(bench: Bench, workload: str) -> Iterator[Aim]:
    """Hold ours against the best of the peers as they come; a tuned one is for knowing."""
    what, aim = "times the requests/s of the best peer", f"at least {TIMES_PEER:.0f}"
    ours, peer = bench.row("closed", OURS, workload), bench.best_peer(workload)
    if ours is None or peer is None or ours.errors:
        yield Aim(f"{what}: {workload}", aim, "not measured")
        return
    ratio = ours.per_second / peer.per_second
    measured = f"{ratio:.1f} (by CPU {_by_cpu(ours, peer):.1f})"
    yield Aim(f"{what}, {peer.server}: {workload}", aim, measured, ratio >= TIMES_PEER)
    if tuned := bench.best_peer(workload, tuned=True):
        ratio = ours.per_second / tuned.per_second
        measured = f"{ratio:.1f} (by CPU {_by_cpu(ours, tuned):.1f})"
        yield Aim(f"times that of {tuned.server}: {workload}", "", measured)


def _of_peers_p99(bench: Bench) -> Aim:
    what = "of a peer's p99 at its own saturation load, the worst"
    aim = f"below {OF_PEERS_P99:.0%}"
    pairs = [pair for pair in bench.saturation() if not pair[0].tuned]
    if not pairs or any(_void(peer) or ours.errors for peer, ours in pairs):
        return Aim(what, aim, "not measured")
    worst = max(ours.p99_ms / peer.p99_ms for peer, ours in pairs)
    return Aim(what, aim, f"{worst:.1%}", worst < OF_PEERS_P99)


def _of_steady_p99(bench: Bench) -> Aim:
    what, aim = "times its p99 without swaps, during swaps", f"at most {TIMES_STEADY_P99}"
    swaps, steady = bench.row("swaps", OURS, TENSOR), bench.row("steady", OURS, TENSOR)
    if swaps is None or steady is None or swaps.errors or steady.errors or not swaps.swaps:
        return Aim(what, aim, "not measured")
    ratio = swaps.p99_ms / steady.p99_ms
    return Aim(what, aim, f"{ratio:.2f}", ratio <= TIMES_STEADY_P99)


def _memory(bench: Bench) -> Aim:
    what, aim = "MB of memory, serving two small models", f"below {MEMORY_MB:.0f}"
    rows = [row.memory_mb for row in bench.rows("closed") if row.server == OURS]
    if not rows:
        return Aim(what, aim, "not measured")
    return Aim(what, aim, f"{max(rows):.0f}", max(rows) < MEMORY_MB)


def _by_cpu(ours: Row, other: Row) -> float:
    """Give how many requests ours answers in the CPU time that the other takes for one.

    Other programs on the machine change requests a second, and this hardly.
    """
    return other.cpu_per_thousand / ours.cpu_per_thousand if ours.cpu_per_thousand else 0.0


def _void(peer: Row) -> bool:
    """Say whether a peer answered nothing: its waits are then no figure."""
    return not peer.p99_ms
