"""``make bench-serving``: ours, a bare HTTP server and the peers in; ratios out.

As tables on screen, JSON and a plot under `.relay/bench/`. Nothing is asserted: what a machine does
is for a person to judge, who finds the aims beside the figures. README.md beside this file says
more.
"""

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from tests.load.contenders import ALL
from tests.load.figures import Bench, read, write
from tests.load.generators import want_wrk
from tests.load.measuring import Measuring
from tests.load.plot import draw
from tests.load.processes import BenchError, give_way, two_cores
from tests.load.registry import register
from tests.load.rounds import Rounds
from tests.load.show import show
from tests.programs import mlflow_server


def main() -> int:
    """Measure, show, and write `<RELAY_HOME>/bench/serving.json` and `.png`; 1 where it cannot."""
    given = _arguments()
    console = Console(width=None if sys.stdout.isatty() else 150)
    folder = Path(os.environ.get("RELAY_HOME", ".relay")).absolute() / "bench"
    try:
        bench = read(given.show) if given.show else measure(given, folder, console)
    except BenchError as error:
        console.print(str(error), markup=False, highlight=False)
        return 1
    show(bench, console)
    if not given.show:
        written = write(bench, folder / "serving.json")
        console.print(f"\nwritten to {written}", soft_wrap=True)
    console.print(f"drawn in {draw(bench, folder / 'serving.png')}", soft_wrap=True)
    return 0


def measure(given: argparse.Namespace, folder: Path, console: Console) -> Bench:
    """Run all rounds. Raises BenchError where ours or the bare server cannot be measured."""
    want_wrk()
    cores = two_cores()
    folder.mkdir(parents=True, exist_ok=True)
    os.sched_setaffinity(0, {cores.client})  # we and MLflow: off the server's core
    with TemporaryDirectory(prefix="serving-", dir=folder) as home, mlflow_server(Path(home)) as ml:
        give_way(ml.process.pid)  # on this core the load comes first
        register(ml.url)
        measuring = Measuring(
            home=Path(home),
            mlflow_url=ml.url,
            peers=given.peers,
            cores=cores,
            connections=given.connections,
            seconds=given.seconds,
            tell=lambda line: console.print(line, markup=False, highlight=False),
        )
        rounds = Rounds(measuring, [ALL[name] for name in given.servers])
        rounds.run(given.rounds)
        return measuring.so_far(rounds.not_run)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-serving ARGS=...", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run (default 5)")
    parser.add_argument("--rounds", type=int, default=3, help="of all servers (default 3)")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument(
        "--servers",
        nargs="+",
        choices=ALL,
        default=list(ALL),
        metavar="SERVER",
        help=f"some of {', '.join(ALL)} (default: all that are installed)",
    )
    peers = os.environ.get("RELAY_BENCH_PEERS")
    parser.add_argument(
        "--peers",
        type=Path,
        default=Path(peers).absolute() if peers else None,
        help="folder of the peers' environments (default: $RELAY_BENCH_PEERS)",
    )
    parser.add_argument("--quick", action="store_true", help="one round of 1 s: does it run?")
    parser.add_argument("--show", type=Path, metavar="JSON", help="show and draw an earlier bench")
    given = parser.parse_args()
    if given.quick:
        given.seconds, given.rounds = 1.0, 1
    return given


if __name__ == "__main__":
    sys.exit(main())
