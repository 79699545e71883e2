"""The HTTP edge of serving: who may ask, how it refuses, slow and gone clients, the end."""

import gzip
import json
import os
import selectors
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from monitoring.prediction_log import reading
from tests import programs
from tests.programs import ROOT, Program, wait_for
from tests.serving_client import INFER, ROW, infer, infer_body, probability, right_for, serves

Start = Callable[[AbstractContextManager[Program]], Program]
TOKEN, OTHER = "a" * 40, "b" * 40
PUBLIC = ("/live", "/ready", "/ping", "/health", "/v2/health/live", "/v2/health/ready")
CLOSED = ("/", "/metrics", "/version", "/openapi.json", "/v2", "/v2/models/flights")


def said(program: Program) -> list[dict[str, Any]]:
    return [json.loads(line) for line in program.output.read_text().splitlines()]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def write_tokens(home: Path, *tokens: str, mode: int = 0o600) -> Path:
    new, file = home / "new", home / "tokens"
    new.write_text("# who may ask\n" + "\n".join(tokens) + "\n")
    new.chmod(mode)
    new.rename(file)
    return file


def test_every_protocol_refuses_in_its_own_shape(registry: str, serving: Program) -> None:
    serves(serving, "1")
    named = {"x-request-id": "mine"}
    for path in (INFER, "/invocations", "/v1/models/flights/labels"):
        refused = httpx.post(serving.url + path, content=b"{}", headers=named)
        assert (refused.status_code, refused.headers["x-request-id"]) == (400, "mine"), path
        words = {"error_code", "message"} if path == "/invocations" else {"error"}
        assert words <= refused.json().keys() <= words | {"field"}
    logged = [line for line in said(serving) if line["message"] == "refused"]
    assert [line["id"] for line in logged] == ["mine"] * 3
    unknown = httpx.post(f"{serving.url}/invocations?model=trains", json={"inputs": {}})
    assert unknown.json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"


def test_a_refusal_goes_by_the_clients_id_or_a_new_one(registry: str, serving: Program) -> None:
    serves(serving, "1")
    bad = {"inputs": [], "id": "of-the-body"}
    refused = httpx.post(serving.url + INFER, json=bad, headers={"x-request-id": "x"})
    assert refused.headers["x-request-id"] == "of-the-body"
    head = json.dumps(bad).encode()
    lengths = {"x-request-id": "x", "inference-header-content-length": str(len(head))}
    refused = httpx.post(serving.url + INFER, content=head + b"\xffmore", headers=lengths)
    assert refused.headers["x-request-id"] == "of-the-body"
    refused = httpx.post(serving.url + INFER, json={"inputs": []}, headers={"x-request-id": "a/1"})
    assert len(refused.headers["x-request-id"]) == 32
    answered = httpx.post(
        serving.url + INFER, json=infer_body([ROW]), headers={"x-request-id": "h"}
    )
    assert (answered.json()["id"], answered.headers["x-request-id"]) == ("h", "h")
    answered = httpx.post(
        serving.url + INFER, json=infer_body([ROW], id="b"), headers={"x-request-id": "h"}
    )
    assert (answered.json()["id"], answered.headers["x-request-id"]) == ("b", "b")


def test_a_page_is_ours_under_our_names(registry: str, start: Start, tmp_path: Path) -> None:
    program = start(programs.serving(tmp_path, registry, serving_allowed_hosts="a.test, b.test"))
    serves(program, "1")
    for name, status in (("b.test", 200), ("serving", 403), ("evil.example", 403)):
        page = {"Origin": f"http://{name}", "Host": name}
        answer = httpx.post(program.url + INFER, json=infer_body([ROW]), headers=page)
        assert answer.status_code == status, name


def test_methods_are_named_and_head_is_get_without_its_body(
    registry: str, serving: Program
) -> None:
    serves(serving, "1")
    for method, path, allowed in (
        ("GET", INFER, "POST"),
        ("DELETE", "/v2/models/flights", "GET, HEAD"),
        ("PUT", "/invocations", "POST"),
    ):
        refused = httpx.request(method, serving.url + path)
        assert (refused.status_code, refused.headers["allow"]) == (405, allowed)
    for path in (*PUBLIC, *CLOSED):
        whole, head = serving.get(path), httpx.head(serving.url + path)
        assert (head.status_code, head.content) == (200, b""), path
        if path != "/metrics":
            assert head.headers["content-length"] == whole.headers["content-length"]
    assert serving.get("/").json()["openapi"] == "/openapi.json"


@pytest.fixture
def guarded(registry: str, start: Start, tmp_path: Path) -> Iterator[Program]:
    file = write_tokens(tmp_path, TOKEN)
    program = start(programs.serving(tmp_path, registry, serving_tokens_file=str(file)))
    wait_for(lambda: program.answers("/ready"), "the model")
    yield program
    assert TOKEN not in program.output.read_text()
    assert OTHER not in program.output.read_text()


def test_who_has_no_token_sees_only_health(guarded: Program) -> None:
    for path in PUBLIC:
        assert guarded.answers(path), path
    closed = [("GET", path) for path in CLOSED]
    closed += [("POST", path) for path in (INFER, "/invocations", "/v1/models/flights/labels")]
    wrong: list[dict[str, str]] = [
        {},
        bearer(OTHER),
        {"Authorization": "Bearer"},
        {"Authorization": TOKEN},
    ]
    wrong += [bearer(TOKEN[:-1]), bearer(TOKEN + "a"), {"Authorization": f"Basic {TOKEN}"}]
    for method, path in closed:
        for headers in wrong:
            refused = httpx.request(method, guarded.url + path, headers=headers)
            assert refused.status_code == 401, (path, headers)
            assert refused.headers["www-authenticate"].startswith("Bearer")
    body = infer_body([ROW])
    assert httpx.post(guarded.url + INFER, json=body, headers=bearer(TOKEN)).status_code == 200


def test_labels_can_want_tokens_of_their_own(registry: str, start: Start, tmp_path: Path) -> None:
    asks, labels = tmp_path / "asks", tmp_path / "labels"
    for folder, token in ((asks, TOKEN), (labels, OTHER)):
        folder.mkdir()
        write_tokens(folder, token)
    serving = start(
        programs.serving(
            tmp_path,
            registry,
            serving_tokens_file=str(asks / "tokens"),
            serving_label_tokens_file=str(labels / "tokens"),
        )
    )
    wait_for(lambda: serving.answers("/ready"), "the model")
    asking, label = infer_body([ROW]), {"labels": [{"id": "any", "label": 1}]}

    def answers(path: str, body: dict[str, Any]) -> dict[str, int]:
        tokens = {"none": {}, "asks": bearer(TOKEN), "labels": bearer(OTHER)}
        return {
            name: httpx.post(serving.url + path, json=body, headers=headers).status_code
            for name, headers in tokens.items()
        }

    assert answers(INFER, asking) == {"none": 401, "asks": 200, "labels": 401}
    labelled = answers("/v1/models/flights/labels", label)
    assert labelled == {"none": 401, "asks": 401, "labels": 200}


def test_tokens_change_without_a_restart(guarded: Program, tmp_path: Path) -> None:
    def lets_in(token: str) -> bool:
        return httpx.get(guarded.url + "/v2", headers=bearer(token)).status_code == 200

    write_tokens(tmp_path, TOKEN, OTHER)
    wait_for(lambda: lets_in(OTHER), "the new token")
    assert lets_in(TOKEN)
    write_tokens(tmp_path, OTHER)
    wait_for(lambda: not lets_in(TOKEN), "the old token's end")
    write_tokens(tmp_path, "short")
    wait_for(lambda: "cannot be read" in guarded.output.read_text(), "the refusal of the file")
    assert lets_in(OTHER)


@pytest.mark.parametrize(
    ("tokens", "mode", "why"),
    [
        ([TOKEN], 0o644, "chmod 600"),
        (["short"], 0o600, "line 2: no token"),
        ([], 0o600, "has no token"),
    ],
)
def test_a_file_of_tokens_that_protects_nothing_is_no_start(
    tmp_path: Path, tokens: list[str], mode: int, why: str
) -> None:
    file = write_tokens(tmp_path, *tokens, mode=mode)
    env = {**os.environ, "RELAY_HOME": str(tmp_path), "RELAY_SERVING_TOKENS_FILE": str(file)}
    env["RELAY_SERVING_PORT"] = str(programs.free_port())
    command = [sys.executable, "-m", "services.serving"]
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert why in json.loads(ended.stdout)["error"]
    assert "short" not in ended.stdout


def request_head(length: int) -> bytes:
    return f"POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n".encode()


def test_idle_and_slow_and_gone_clients_hurt_nobody(
    registry: str, start: Start, tmp_path: Path
) -> None:
    """1,000 idle, 100 that dribble a body, 100 a head, 100 that go in the middle: all at once.

    So are 10 heads that are larger than any may be.
    """
    serving = start(programs.serving(tmp_path, registry, serving_body_seconds="3"))
    serves(serving, "1")
    address = ("127.0.0.1", int(serving.url.rpartition(":")[2]))
    stop = threading.Event()

    def ask() -> list[float]:
        with httpx.Client(timeout=30) as client:
            seen = []
            while not stop.is_set():
                response = client.post(serving.url + INFER, json=infer_body([ROW]))
                assert response.status_code == 200, response.text
                seen.append(probability(response.json()))
        return seen

    with ThreadPoolExecutor(4) as clients, ExitStack() as open_ones:
        open_ones.callback(stop.set)  # before the clients are waited for

        def connect() -> socket.socket:
            return open_ones.enter_context(socket.create_connection(address))

        idle = [connect() for _ in range(1000)]
        asking = [clients.submit(ask) for _ in range(4)]
        slow = [connect() for _ in range(100)]
        for client in slow:
            client.sendall(request_head(9999))
        heads = [connect() for _ in range(100)]
        for client in heads:
            client.sendall(b"GET /live HTTP/1.1\r\nhost: x\r\nx-slow: ")
        for _ in range(10):
            assert answer_to_a_large_head(connect())[:13] in (b"HTTP/1.1 431 ", b"")
        for _ in range(100):
            with socket.create_connection(address) as gone:
                gone.sendall(request_head(9999) + b'{"inputs": [')
        answers = dribble(slow, heads)
        assert b" 408 " in answers
        for client in heads:
            client.sendall(b"\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        stop.set()
        seen = [answer for each in asking for answer in each.result()]
        assert len(psutil.Process(serving.process.pid).net_connections()) > len(idle)
    assert len(seen) > 100
    assert set(seen) == {seen[0]}
    assert seen[0] == right_for("1")
    errors = "relay_serving_request_errors_total"
    wait_for(lambda: serving.metric(errors, kind="client_gone") == 100, "the gone to be noticed")
    wait_for(lambda: serving.metric("relay_serving_in_flight") == 1, "nobody else to be left")
    assert serving.metric("relay_serving_requests_total", code="408") == len(slow)


def test_large_bodies_share_a_room_and_small_ones_need_none(
    registry: str, start: Start, tmp_path: Path
) -> None:
    size, room = 100_000, 1_000_000
    serving = start(
        programs.serving(tmp_path, registry, serving_max_bytes_of_bodies=str(room + size // 2))
    )
    serves(serving, "1")
    address = ("127.0.0.1", int(serving.url.rpartition(":")[2]))
    large = json.dumps(infer_body([ROW])).ljust(size).encode()
    ways: list[tuple[bytes | Iterable[bytes], dict[str, str]]] = [
        (large, {}),
        ([large[:50_000], large[50_000:]], {}),  # in chunks
        (gzip.compress(large), {"content-encoding": "gzip"}),
    ]
    with ExitStack() as open_ones:
        for _ in range(room // size):
            holder = open_ones.enter_context(socket.create_connection(address))
            holder.sendall(request_head(size) + large[:-1])
        wait_for(lambda: serving.metric("relay_serving_in_flight") == 11, "all to be held")
        for body, headers in ways:
            refused = httpx.post(serving.url + INFER, content=body, headers=headers)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert f"bodies of {room} bytes" in refused.json()["error"]
            assert probability(infer(serving)) == right_for("1")
        holder.sendall(large[-1:])
        assert b" 200 " in holder.recv(4096)
        assert httpx.post(serving.url + INFER, content=large).status_code == 200
    wait_for(lambda: serving.metric("relay_serving_in_flight") == 1, "the others to be gone")
    for _ in range(20):  # more than the room has, one after the other
        for body, headers in ways:
            answer = httpx.post(serving.url + INFER, content=body, headers=headers)
            assert probability(answer.json()) == right_for("1")


def answer_to_a_large_head(client: socket.socket) -> bytes:
    with suppress(ConnectionError):  # a reset may overtake the answer
        client.sendall(b"GET /live HTTP/1.1\r\nhost: x\r\nx-large: " + b"a" * 65 * 1024)
        return client.recv(4096)
    return b""


def dribble(clients: list[socket.socket], others: list[socket.socket]) -> bytes:
    """Send a space now and then for each until it is answered; give all answers.

    The others are sent as much meanwhile, and not looked at.
    """
    answers, left = b"", set(clients)
    with selectors.DefaultSelector() as waiting:
        for client in clients:
            waiting.register(client, selectors.EVENT_READ, client)
        while left:
            for client in (*left, *others):
                with suppress(ConnectionError):  # it has been answered meanwhile
                    client.sendall(b" ")
            for key, _ in waiting.select(timeout=0.1):
                with suppress(ConnectionError):  # a reset that overtook the answer
                    answers += key.data.recv(4096)
                waiting.unregister(key.data)
                left.remove(key.data)
    return answers


def test_what_is_asked_while_it_stops_is_answered(
    registry: str, start: Start, tmp_path: Path
) -> None:
    serving = start(programs.serving(tmp_path, registry, serving_leave_seconds="5"))
    serves(serving, "1")
    left = threading.Event()

    def ask() -> tuple[int, int]:
        """Ask on and on, as a balancer lets its clients do until readiness has gone."""
        answered = closed = 0
        with httpx.Client(timeout=30) as client:
            while not left.is_set():
                response = client.post(serving.url + INFER, json=infer_body([ROW]))
                assert response.status_code == 200
                answered += 1
                closed += response.headers.get("connection") == "close"
        return answered, closed

    with ThreadPoolExecutor(8) as clients, ExitStack() as whatever_happens:
        whatever_happens.callback(left.set)
        asking = [clients.submit(ask) for _ in range(8)]
        wait_for(lambda: serving.metric("relay_serving_predictions_total") > 200, "traffic")
        serving.process.terminate()
        wait_for(lambda: serving.get("/ready").status_code == 503, "it to leave")
        assert serving.get("/live").status_code == 200
        answered = serving.metric("relay_serving_predictions_total")
        wait_for(
            lambda: serving.metric("relay_serving_predictions_total") > answered + 20,
            "answers to those who still ask",
        )
        left.set()
        counts = [each.result() for each in asking]
    assert serving.process.wait(30) == 0
    assert sum(closed for _, closed in counts) > 20
    assert said(serving)[-1]["message"] == "stopped"
    logged = reading.read_predictions(tmp_path / "prediction-log", "flights")
    assert len(logged) == sum(answered for answered, _ in counts)


def test_a_stop_waits_for_a_client_no_longer_than_it_says(
    registry: str, start: Start, tmp_path: Path
) -> None:
    serving = start(
        programs.serving(tmp_path, registry, serving_leave_seconds="0", serving_stop_seconds="1")
    )
    serves(serving, "1")
    address = ("127.0.0.1", int(serving.url.rpartition(":")[2]))
    with socket.create_connection(address) as client:
        client.sendall(request_head(9999) + b"{")
        wait_for(lambda: serving.metric("relay_serving_in_flight") == 2, "the half request")
        serving.process.terminate()
        assert serving.process.wait(20) == 1
    assert "given up" in serving.output.read_text()


def test_a_second_signal_is_in_a_hurry(registry: str, start: Start, tmp_path: Path) -> None:
    serving = start(
        programs.serving(
            tmp_path, registry, serving_leave_seconds="600", serving_stop_seconds="600"
        )
    )
    serves(serving, "1")
    serving.process.terminate()
    wait_for(lambda: serving.get("/ready").status_code == 503, "it to leave")
    assert probability(infer(serving)) == right_for("1")
    serving.process.terminate()
    assert serving.process.wait(20) == 0
