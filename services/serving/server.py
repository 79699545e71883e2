"""Settings in, a serving process out: one process, one event loop, stopped by SIGTERM or SIGINT."""

import asyncio
import logging
import signal
import socket
from contextlib import suppress

from granian.constants import Interfaces
from granian.server.embed import Server

from monitoring.prediction_log import PredictionLog
from services.serving.app import App
from services.serving.cache import Cache
from services.serving.catalog import Catalog
from services.serving.loader import Loader
from services.serving.metrics import Metrics
from services.serving.predictor import Limits
from services.serving.registry import Registry
from services.serving.routes import Routes
from services.serving.settings import Settings
from services.serving.shadow import Shadow
from services.serving.watcher import Watcher
from services.serving.webhook import Webhook, read_secret

_MOST_CONNECTIONS = 10_000  # open at once, idle ones too; more wait to be accepted
_log = logging.getLogger(__name__)


async def serve(settings: Settings) -> None:
    """Serve until told to stop; then answer what has come in, and write what is in the shadow.

    Raises OSError where it cannot listen or keep its cache, ValueError for an empty secret.
    """
    _want_port(settings.serving_host, settings.serving_port)
    metrics = Metrics()
    catalog = Catalog(metrics)
    log, shadow = PredictionLog(settings.prediction_log), Shadow(metrics)
    registry = Registry(settings.mlflow_url)
    cache = Cache(settings.serving_cache)
    limits = Limits(settings.serving_max_batch_rows, settings.serving_max_waiting_rows)
    watcher = Watcher(
        registry,
        cache,
        catalog,
        Loader(registry, cache, log, metrics, limits, settings.serving_unsafe_models),
        metrics,
        poll_seconds=settings.serving_poll_seconds,
        retry_seconds=settings.serving_retry_seconds,
    )
    secret = settings.serving_webhook_secret_file
    webhook = Webhook(read_secret(secret), watcher.wake) if secret else None
    await watcher.restore()
    routes = Routes(catalog, log, shadow, metrics, webhook)
    app = App(routes, metrics, settings.serving_max_body_bytes)
    server = _server(app, settings)
    watching = asyncio.create_task(watcher.watch())
    watching.add_done_callback(lambda task: task.cancelled() or server.stop())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    address = {"host": settings.serving_host, "port": settings.serving_port}
    _log.info("serving", extra=address)
    try:
        await server.serve()
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        await registry.close()
        shadow.close()
        log.close()
        _log.info("stopped")


def _want_port(host: str, port: int) -> None:
    """Try the address, as the HTTP server would not say clearly that another one has it."""
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


def _server(app: App, settings: Settings) -> Server:
    return Server(
        app,
        address=settings.serving_host,
        port=settings.serving_port,
        interface=Interfaces.RSGI,
        websockets=False,
        backlog=1024,
        backpressure=_MOST_CONNECTIONS,
        log_enabled=False,
    )
