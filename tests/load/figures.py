"""Runs in; what they come to out: a row of medians for each server, workload and rate."""

from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Literal

import msgspec

OURS, BARE = "relay", "bare HTTP"
TENSOR, BATCHES, TABLE, TABLES = (
    "tensor, 1 row",
    "tensor, 32 rows",
    "table, 1 row",
    "table, 32 rows",
)
WORKLOADS = (TENSOR, BATCHES, TABLE, TABLES)
Kind = Literal["closed", "open", "steady", "swaps"]


@dataclass(frozen=True)
class Run:
    """One run of one server. A closed run has no rate: it is as fast as the server is."""

    server: str
    workload: str
    kind: Kind
    round: int
    requests: int  # that were answered
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: dict[str, int]  # by kind; only those that there were
    cpu_seconds: float
    memory_mb: float
    tuned: bool = False  # a peer that is set otherwise than it comes
    others: float = 0.0  # the share of the server's core that other programs took
    rate: float = 0.0  # requests a second that were offered
    client_late_p99_ms: float = 0.0  # by how much the client itself was late, in a run with a rate
    swaps: int = 0


@dataclass(frozen=True)
class Row:
    """The median over the rounds of runs of one kind; errors are added up."""

    server: str
    workload: str
    tuned: bool
    rate: float
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_per_thousand: float
    memory_mb: float
    client_late_p99_ms: float
    swaps: int
    errors: dict[str, int]


@dataclass(frozen=True)
class Bench:
    """All that was measured, with the machine it is true of; `not_run` says why, by server."""

    machine: dict[str, str | int | None]
    connections: int
    seconds: float
    runs: list[Run]
    not_run: dict[str, str] = field(default_factory=dict)

    def others(self) -> float:
        """Give the largest share of the server's core that others took in a run."""
        return max((run.others for run in self.runs), default=0.0)

    def rows(self, *kinds: Kind) -> list[Row]:
        """Give a row for each server, workload and rate, in the order in which they ran first."""
        groups: dict[tuple[str, str, Kind, float], list[Run]] = {}
        for run in self.runs:
            if run.kind in kinds:
                groups.setdefault((run.server, run.workload, run.kind, run.rate), []).append(run)
        return [_row(runs) for runs in groups.values()]

    def row(self, kind: Kind, server: str, workload: str, rate: float | None = None) -> Row | None:
        """Give one row, None where it was not measured."""
        found = (
            row
            for row in self.rows(kind)
            if (row.server, row.workload) == (server, workload) and rate in (None, row.rate)
        )
        return next(found, None)

    def best_peer(self, workload: str, tuned: bool = False) -> Row | None:
        """Give the fastest of the peers, as they come or tuned, in a closed loop without errors."""
        peers = [
            row
            for row in self.rows("closed")
            if (row.workload, row.tuned) == (workload, tuned)
            and row.server not in (OURS, BARE)
            and not row.errors
        ]
        return max(peers, key=lambda row: row.per_second, default=None)

    def saturation(self) -> list[tuple[Row, Row]]:
        """Give each peer at its own saturation load, and ours at the same."""
        pairs = []
        for peer in self.rows("open"):
            ours = self.row("open", OURS, peer.workload, peer.rate)
            if peer.server != OURS and ours is not None:
                pairs.append((peer, ours))
        return pairs


def write(bench: Bench, path: Path) -> Path:
    """Write as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(bench), indent=2) + b"\n")
    return path


def read(path: Path) -> Bench:
    """Read what `write` wrote."""
    return msgspec.json.decode(path.read_bytes(), type=Bench)


def _row(runs: list[Run]) -> Row:
    errors: dict[str, int] = {}
    for run in runs:
        for kind, count in run.errors.items():
            errors[kind] = errors.get(kind, 0) + count
    return Row(
        server=runs[0].server,
        workload=runs[0].workload,
        tuned=runs[0].tuned,
        rate=runs[0].rate,
        per_second=median(run.requests / run.seconds for run in runs),
        p50_ms=median(run.p50_ms for run in runs),
        p99_ms=median(run.p99_ms for run in runs),
        cpu_per_thousand=median(run.cpu_seconds / max(run.requests, 1) * 1000 for run in runs),
        memory_mb=max(run.memory_mb for run in runs),
        client_late_p99_ms=median(run.client_late_p99_ms for run in runs),
        swaps=sum(run.swaps for run in runs),
        errors=errors,
    )
