"""A real S3 API (moto, in memory) for tests, which can go away and can kill who asks it."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from tests.programs import free_port

BUCKET = "relay"
CREDENTIALS = "[default]\naws_access_key_id = relay\naws_secret_access_key = of-this-test-alone\n"
Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


@dataclass
class Doom:
    """Whom to kill, as `kill -9` does, when the last of some requests has come, or is done."""

    process: subprocess.Popen[bytes]
    requests: int
    when: Literal["before", "after"]

    def fulfil(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@dataclass
class Store:
    """The server, its address, and what was asked of it."""

    port: int
    application: Wsgi
    doom: Doom | None = None
    asked: list[str] = field(default_factory=list)
    _gate: threading.Lock = field(default_factory=threading.Lock)

    @property
    def environment(self) -> dict[str, str]:
        return {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}"}

    def answer(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        with self._gate:
            self.asked.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
            doom = self.doom
            if doom:
                doom.requests -= 1
            now = doom if doom and not doom.requests else None
            if now and now.when == "before":
                now.fulfil()
            answer = self.application(environ, start) if not now or now.when == "after" else []
            if now and now.when == "after":
                now.fulfil()
            return answer

    @contextmanager
    def up(self) -> Iterator[None]:
        server = make_server("127.0.0.1", self.port, self.answer, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@contextmanager
def s3_store(folder: Path) -> Iterator[Store]:
    """Give a store that is down, and the environment in which all clients find it."""
    credentials = folder / "credentials"
    credentials.write_text(CREDENTIALS)
    store = Store(free_port(), DomainDispatcherApplication(create_backend_app))
    settings = store.environment | {
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    before = {name: os.environ.get(name) for name in settings}
    os.environ |= settings
    try:
        yield store
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
