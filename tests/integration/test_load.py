"""The serving bench's own tools against real servers: do they count what there is to count?"""

import asyncio
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.load import figures, generators
from tests.load.open_loop import Load, quantile
from tests.load.processes import BenchError, Server, running, two_cores
from tests.programs import ROOT, free_port

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
WANTS_WRK = pytest.mark.skipif(
    shutil.which("wrk") is None, reason="wrk is not installed: apt-get install wrk"
)
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def bodies(tmp_path: Path) -> Path:
    file = tmp_path / "bodies.jsonl"
    file.write_text('{"x": 1}\n{"x": 22}\n')
    return file


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Server]:
    """The bare server, as the child of a shell."""
    answers = tmp_path / "answers"
    answers.mkdir()
    (answers / "there").write_text('{"y": 1}')
    port = free_port()
    command = shlex.join([sys.executable, "-m", "tests.load.bare", str(answers), str(port)])
    url, log = f"http://127.0.0.1:{port}", tmp_path / "log"
    core = two_cores().server
    with running(["sh", "-c", f"{command} & wait"], {}, url, ["/there"], core, log) as server:
        yield server
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


@WANTS_WRK
def test_wrk_counts_answers_and_errors(bare: Server, bodies: Path) -> None:
    core, cpu = two_cores().client, bare.cpu_seconds()
    good = generators.run(generators.closed_loop(f"{bare.url}/there", bodies, 1, 4), core)
    assert good["requests"] > 0
    assert good["errors"] == {}
    assert good["p50_ms"] <= good["p99_ms"]
    assert bare.cpu_seconds() > cpu, "a child's time counts"
    assert bare.memory_mb() > 10, "a child's memory counts"

    bad = generators.run(generators.closed_loop(f"{bare.url}/absent", bodies, 1, 4), core)
    assert bad["errors"]["status"] == bad["requests"]


def test_the_open_loop_asks_at_its_rate(bare: Server, bodies: Path) -> None:
    def ask(path: str) -> dict[str, object]:
        command = generators.open_loop(bare.url + path, bodies, 0.5, 4, rate=400)
        return generators.run(command, two_cores().client)

    assert ask("/there")["requests"] == 200
    assert ask("/there")["errors"] == {}
    assert ask("/absent")["errors"] == {"status 500": 200}


def offer(handler: Handler, rate: float, seconds: float, connections: int) -> Load:
    """Offer load to a server of this handler."""

    async def run() -> Load:
        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        load = Load(f"http://127.0.0.1:{port}/", [b"{}"], connections)
        async with server:
            await load.run(rate, seconds)
        return load

    return asyncio.run(run())


async def read_request(reader: asyncio.StreamReader) -> None:
    await reader.readuntil(b"\r\n\r\n{}")


def test_a_wait_counts_from_when_the_request_was_due() -> None:
    asked = 0

    async def stalls_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while True:
            await read_request(reader)
            if not asked:
                await asyncio.sleep(1)
            asked += 1
            writer.write(ANSWER)

    load = offer(stalls_once, rate=20, seconds=0.5, connections=1)
    assert len(load.latencies) == asked == 10
    # due every 50 ms, and all behind the first one's second: none waits less than 0.55 s
    assert quantile(sorted(load.latencies), 0.0) > 0.5


def test_a_connection_that_is_cut_is_an_error_and_made_anew() -> None:
    async def answers_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(ANSWER)
        await read_request(reader)
        writer.close()

    load = offer(answers_once, rate=100, seconds=0.2, connections=2)
    assert load.errors["connection lost"] > 0
    assert len(load.latencies) + load.errors["connection lost"] == 20


def test_a_server_that_does_not_come_up_is_told_of_with_its_last_words(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo the port is taken; exit 3"]
    url = f"http://127.0.0.1:{free_port()}"
    with (
        pytest.raises(BenchError, match=r"(?s)ended with 3.*the port is taken"),
        running(command, {}, url, ["/"], two_cores().server, tmp_path / "log"),
    ):
        pass


@WANTS_WRK
def test_a_quick_bench_of_ours_and_the_bare_server(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.load", "--quick", "--servers", "relay", "bare"]
    done = subprocess.run(
        ["env", f"RELAY_HOME={tmp_path}", *command], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    bench = figures.read(tmp_path / "bench/serving.json")
    measured = {(run.server, run.workload) for run in bench.runs if run.kind == "closed"}
    assert measured == {(s, w) for s in (figures.OURS, figures.BARE) for w in figures.WORKLOADS}
    assert {run.kind for run in bench.runs} == {"closed", "steady", "swaps"}
    assert not [run for run in bench.runs if run.errors or not run.requests]
    assert "of the bare server" in done.stdout
    assert not bench.not_run
