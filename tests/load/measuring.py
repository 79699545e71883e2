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
from typing import Any, Self

import httpx
import numpy as np
import onnx
from prometheus_client.parser import text_string_to_metric_families

from tests.load import generators, models
from tests.load.contenders import OURS, Contender, Place
from tests.load.figures import BATCHES, TABLE, TABLES, TENSOR, Bench, Kind, Run
from tests.load.processes import BenchError, Cores, Server, busy_seconds, running
from tests.programs import free_port

CASES = {TENSOR: ("tensor", 1), BATCHES: ("tensor", 32), TABLE: ("table", 1), TABLES: ("table", 32)}
BODIES = 16  # different ones a workload, so that remembering an answer is of no use
TOLERANCE = 1e-4
SWAP_EVERY = 0.5  # seconds
README = "tests/load/README.md says how to install it"
Columns = dict[str, Any]


@dataclass(frozen=True)
class Questions:
    """What is asked and must be answered, by workload: a list of rows, a list of their numbers."""

    asked: dict[str, list[Columns]]
    expected: dict[str, list[list[float]]]


def questions() -> Questions:
    """Draw the rows, and compute the answers of each model's first version."""
    built = {"tensor": models.tensor_model(), "table": models.table_model()}
    draw = {"tensor": models.tensor_rows, "table": models.table_rows}
    asked = {
        workload: [draw[model](rows, seed) for seed in range(BODIES)]
        for workload, (model, rows) in CASES.items()
    }
    expected = {
        workload: [models.answers(built[model], columns) for columns in asked[workload]]
        for workload, (model, _) in CASES.items()
    }
    return Questions(asked, expected)


def register(mlflow_url: str) -> None:
    """Register two versions of the tensor model and one of the table's; the first are champions."""
    for seed in (1, 2):
        rows = models.tensor_rows(1, 0)
        models.register(mlflow_url, "tensor", models.tensor_model(seed), rows)
    models.register(mlflow_url, "table", models.table_model(), models.table_rows(1, 0))
    with Aliases(mlflow_url) as aliases:
        for model in ("tensor", "table"):
            aliases.move(model, "champion", "1")


class Aliases:
    """MLflow's aliases over its REST API: moving one must cost the load's core next to nothing.

    https://mlflow.org/docs/latest/api_reference/rest-api.html#set-registered-model-alias
    """

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def move(self, model: str, alias: str, version: str) -> None:
        """Let an alias be one of a version."""
        content = {"name": model, "alias": alias, "version": version}
        self._client.post(
            "/api/2.0/mlflow/registered-models/alias", json=content
        ).raise_for_status()


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
        self._questions = questions()
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
                body = OURS.body(model, self._questions.asked[workload][0])
                answer = _ask(server.url + OURS.path.format(model=model, rows=rows), body)
                (self._answers / f"{model}-{rows}").write_bytes(answer.content)

    def closed(self, contender: Contender, number: int) -> None:
        """Ask as fast as it answers, every workload."""
        with self._started(contender) as server:
            for workload, (model, _) in CASES.items():
                if model in contender.models:
                    self._check(contender, server, workload)
                    self._measure(contender, server, workload, "closed", number)

    def open(self, contender: Contender, number: int, rates: list[float]) -> None:
        """Ask for single rows at each rate."""
        with self._started(contender) as server:
            self._check(contender, server, TENSOR)
            for rate in rates:
                self._measure(contender, server, TENSOR, "open", number, rate)

    def swaps(self, number: int, rate: float) -> None:
        """Ask ours at a rate while its champion changes, and while another alias changes as often.

        The other alias costs MLflow the same, which shares the client's core, and serving nothing.
        """
        kinds: tuple[tuple[Kind, str], ...] = (("steady", "unserved"), ("swaps", "champion"))
        started = self._started(OURS, RELAY_SERVING_POLL_SECONDS="0.2")
        with Aliases(self.mlflow_url) as aliases, started as server:
            self._check(OURS, server, TENSOR)
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

    def _check(self, contender: Contender, server: Server, workload: str) -> None:
        """Compare its answers to every body. Raises BenchError: a wrong answer is no throughput."""
        model, rows = CASES[workload]
        url = server.url + contender.path.format(model=model, rows=rows)
        asked, expected = self._questions.asked[workload], self._questions.expected[workload]
        for columns, numbers in zip(asked, expected, strict=True):
            answer = _ask(url, contender.body(model, columns))
            given = np.ravel(contender.numbers(answer.json()))
            if given.shape != (rows,) or not np.allclose(given, numbers, atol=TOLERANCE):
                raise BenchError(f"{workload}: answered {given}, want {np.array(numbers)}")
            if contender.fixed:
                return

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
        model, rows = CASES[workload]
        url = server.url + contender.path.format(model=model, rows=rows)
        bodies = self._bodies(contender, workload)
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

    def _bodies(self, contender: Contender, workload: str) -> Path:
        """Write what a server is asked in a workload, a body a line."""
        model, rows = CASES[workload]
        file = self.home / f"{contender.name}-{model}-{rows}.jsonl"
        if not file.exists():
            bodies = (contender.body(model, columns) for columns in self._questions.asked[workload])
            file.write_bytes(b"\n".join(bodies) + b"\n")
        return file


def _ask(url: str, body: bytes) -> httpx.Response:
    headers = {"content-type": "application/json"}
    answer = httpx.post(url, content=body, headers=headers, timeout=60, trust_env=False)
    if answer.status_code != httpx.codes.OK:
        raise BenchError(f"{url} answered {answer.status_code}: {answer.text[:500]}")
    return answer


def _swaps(server: Server) -> int:
    """Count the versions that ours has switched to."""
    text = httpx.get(f"{server.url}/metrics", timeout=10, trust_env=False).text
    return sum(
        int(sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "relay_serving_swaps_total"
    )
