"""A server in, its runs out: it is started afresh, checked, warmed up, measured, and ended."""

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import onnx
from prometheus_client.parser import text_string_to_metric_families

from tests.load import generators, models
from tests.load.contenders import OURS, Contender, Place
from tests.load.figures import TENSOR, Bench, Kind, Run
from tests.load.processes import BenchError, Cores, Server, busy_seconds, running
from tests.load.questions import CASES, Questions, address
from tests.load.registry import Aliases
from tests.programs import free_port

SWAP_EVERY = 0.5  # seconds
README = "tests/load/README.md says how to install it"


@dataclass
class Measuring:
    """A bench under way. `tell` gets a line for each run."""

    home: Path
    mlflow_url: str
    peers: Path | None
    cores: Cores
    connections: int
    seconds: float
    tell: Callable[[str], None]
    runs: list[Run] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._questions = Questions()
        self._answers = self.home / "answers"
        self._network = self.home / "network.onnx"
        onnx.save(models.tensor_model(), self._network)

    def so_far(self, not_run: dict[str, str] | None = None) -> Bench:
        """Give what has been measured."""
        machine: dict[str, str | int | None] = {
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "os": platform.platform(),
        }
        return Bench(machine, self.connections, self.seconds, self.runs, not_run or {})

    def lacks(self, contender: Contender) -> str:
        """Say why a server cannot be started here; nothing where it can."""
        if not contender.environment:
            return ""
        if self.peers is None:
            return f"not installed: {README}"
        python = self.peers / contender.environment / "bin/python"
        return "" if python.exists() else f"there is no {python}: {README}"

    def prepare_bare(self) -> None:
        """Keep ours' answers, for the bare server to give ones of the same size."""
        self._answers.mkdir()
        (self._answers / "health").touch()
        with self._started(OURS) as server:
            for workload, (model, rows) in CASES.items():
                answer = self._questions.first_answer(OURS, server.url, workload)
                (self._answers / f"{model}-{rows}").write_bytes(answer)

    def closed(self, contender: Contender, number: int) -> None:
        """Ask as fast as it answers, every workload."""
        with self._started(contender) as server:
            for workload, (model, _) in CASES.items():
                if model in contender.models:
                    self._questions.check(contender, server.url, workload)
                    self._measure(contender, server, workload, "closed", number)

    def open(self, contender: Contender, number: int, rates: list[float]) -> None:
        """Ask for single rows at each rate."""
        with self._started(contender) as server:
            self._questions.check(contender, server.url, TENSOR)
            for rate in rates:
                self._measure(contender, server, TENSOR, "open", number, rate)

    def swaps(self, number: int, rate: float) -> None:
        """Ask ours at a rate while its champion changes, and while another alias changes as often.

        The other alias costs MLflow the same, which shares the client's core, and serving nothing.
        """
        kinds: tuple[tuple[Kind, str], ...] = (("steady", "unserved"), ("swaps", "champion"))
        started = self._started(OURS, RELAY_SERVING_POLL_SECONDS="0.2")
        with Aliases(self.mlflow_url) as aliases, started as server:
            self._questions.check(OURS, server.url, TENSOR)
            for kind, alias in kinds:
                versions = cycle(("2", "1"))

                def move(alias: str = alias, versions: Iterator[str] = versions) -> None:
                    aliases.move("tensor", alias, next(versions))

                self._measure(OURS, server, TENSOR, kind, number, rate, move)
            aliases.move("tensor", "champion", "1")

    @contextmanager
    def _started(self, contender: Contender, **env: str) -> Iterator[Server]:
        with TemporaryDirectory(dir=self.home, ignore_cleanup_errors=True) as folder:
            home = Path(folder)
            place = Place(
                home, free_port(), self.mlflow_url, self._network, self._answers, self.peers
            )
            command, url = contender.command(place), f"http://127.0.0.1:{place.port}"
            env = {**contender.env(place), **env}
            log = home / "server.log"
            core = self.cores.server
            with running(command, env, url, contender.health, core, log) as server:
                yield server

    def _measure(
        self,
        contender: Contender,
        server: Server,
        workload: str,
        kind: Kind,
        number: int,
        rate: float = 0.0,
        meanwhile: Callable[[], None] | None = None,
    ) -> None:
        """Warm up, then measure one run, and keep it."""
        url = address(contender, server.url, workload)
        bodies = self._questions.write(contender, workload, self.home)
        warm_up = generators.closed_loop(url, bodies, self.seconds / 5, self.connections)
        generators.run(warm_up, self.cores.client)
        if rate:
            load = generators.open_loop(url, bodies, self.seconds, self.connections, rate)
        else:
            load = generators.closed_loop(url, bodies, self.seconds, self.connections)
        swaps = _swaps(server) if meanwhile else 0
        begun, cpu, busy = time.monotonic(), server.cpu_seconds(), busy_seconds(self.cores.server)
        figures = generators.run(load, self.cores.client, meanwhile, SWAP_EVERY)
        cpu, busy = server.cpu_seconds() - cpu, busy_seconds(self.cores.server) - busy
        run = Run(
            server=contender.name,
            workload=workload,
            kind=kind,
            round=number,
            cpu_seconds=cpu,
            tuned=contender.tuned,
            others=max(busy - cpu, 0) / (time.monotonic() - begun),
            memory_mb=server.memory_mb(),
            rate=rate,
            swaps=(_swaps(server) - swaps) if meanwhile else 0,
            **figures,
        )
        self.runs.append(run)
        self.tell(
            f"round {number}: {run.server}, {workload}, {kind}: "
            f"{run.requests / run.seconds:,.0f}/s, p99 {run.p99_ms:,.1f} ms"
        )


def _swaps(server: Server) -> int:
    """Count the versions that ours has switched to."""
    text = httpx.get(f"{server.url}/metrics", timeout=10, trust_env=False).text
    for family in text_string_to_metric_families(text):
        if family.name == "relay_serving_swaps":
            return sum(int(s.value) for s in family.samples if s.name.endswith("_total"))
    raise BenchError("ours has no metric relay_serving_swaps_total: the bench is not up to date")
