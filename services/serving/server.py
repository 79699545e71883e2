"""Settings in, a serving process out: one process, one event loop, stopped by SIGTERM or SIGINT."""

import asyncio
import logging
import socket
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import NoReturn

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from monitoring.prediction_log import PredictionLog
from services.serving.auth import Guard
from services.serving.challenger.shadow import Shadow
from services.serving.http import openapi
from services.serving.http.app import App
from services.serving.http.bodies import Bodies
from services.serving.http.endpoints.about import About
from services.serving.http.endpoints.asking import Asking
from services.serving.http.endpoints.events import Events
from services.serving.http.endpoints.health import Health
from services.serving.http.endpoints.labels import Labels
from services.serving.http.endpoints.mlflow import Scoring
from services.serving.http.endpoints.v2 import V2
from services.serving.http.origins import Origins
from services.serving.http.routes import Routes, table
from services.serving.metrics import Metrics
from services.serving.predictor import Limits
from services.serving.settings import Settings
from services.serving.stopping import Drain, serve_until_told
from services.serving.versions.cache import Cache
from services.serving.versions.catalog import Catalog
from services.serving.versions.loader import Loader
from services.serving.versions.registry import Registry
from services.serving.versions.watcher import Watcher
from services.serving.versions.webhook import Webhook, read_secret

_MOST_CONNECTIONS = 10_000  # open at once, idle ones too; more wait to be accepted
_HEADER_BYTES = 64 * 1024
_HEADER_MILLISECONDS = 30_000
_LOOK_SECONDS = 1.0
_log = logging.getLogger(__name__)


async def serve(settings: Settings) -> bool:
    """Serve until told to stop; then answer what has come in, and write what is in the shadow.

    False where requests had to be given up.

    Raises OSError where it cannot listen or keep its cache, ValueError for a wrong file of secrets.
    """
    _want_port(settings.serving_host, settings.serving_port)
    guard = Guard(settings.serving_tokens_file, settings.serving_label_tokens_file)
    metrics = Metrics()
    catalog = Catalog(metrics)
    metrics.waiting = catalog.waiting
    log, shadow = PredictionLog(settings.prediction_log), Shadow(metrics)
    registry = Registry(settings.registry_address())
    cache = Cache(settings.serving_cache)
    limits = Limits(
        settings.serving_max_batch_rows,
        settings.serving_max_waiting_rows,
        settings.serving_answer_seconds,
    )
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
    health = Health(catalog)
    asking = Asking(catalog, shadow, metrics)
    routes = table(
        V2(asking),
        Scoring(asking),
        Labels(catalog, log, metrics),
        health,
        About(metrics, lambda: openapi.describe(routes, catalog)),
        Events(webhook) if webhook else None,
    )
    bodies = Bodies(
        settings.serving_max_body_bytes,
        settings.serving_max_bytes_of_bodies,
        settings.serving_body_seconds,
    )
    origins = Origins(settings.serving_allowed_hosts)
    app = App(Routes(routes), bodies, guard, origins, health, metrics)
    server = _server(app, settings)
    address = {
        "host": settings.serving_host,
        "port": settings.serving_port,
        "grpc_port": settings.serving_grpc_port,
    }
    _log.info("serving", extra=address)
    try:
        grpc = _grpc(asking, health, guard, metrics, settings)
        async with grpc as drain, asyncio.TaskGroup() as background:
            beside = [watcher.watch(), _look_after(bodies, guard), _rotate(log)]
            tasks = [background.create_task(each) for each in beside]
            times = settings.serving_leave_seconds, settings.serving_stop_seconds
            answered_all = await serve_until_told(server, drain, health, *times)
            for task in tasks:
                task.cancel()
    finally:
        await registry.close()
        shadowed_all = shadow.close(settings.serving_stop_seconds)
        log.close()
    _log.info("stopped", extra={"answered_all": answered_all, "shadowed_all": shadowed_all})
    return answered_all


def _grpc(
    asking: Asking, health: Health, guard: Guard, metrics: Metrics, settings: Settings
) -> AbstractAsyncContextManager[Drain]:
    if not settings.serving_grpc_port:
        return nullcontext(_nothing)
    from services.serving.grpc.server import GrpcServer  # 10 MB of memory
    from services.serving.grpc.service import Service

    limits = settings.serving_max_body_bytes, settings.serving_body_seconds
    server = GrpcServer(Service(asking, health), guard, metrics, *limits)
    return server.listening(settings.serving_host, settings.serving_grpc_port)


async def _nothing() -> None:
    """Drain what is not there."""


async def _look_after(bodies: Bodies, guard: Guard) -> NoReturn:
    """Do what is done now and then."""
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        bodies.hurry()
        guard.refresh()


async def _rotate(log: PredictionLog) -> NoReturn:
    """Close old segments; a disk that is slow delays nothing else."""
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            await asyncio.to_thread(log.rotate)
        except OSError as error:
            _log.error("a segment cannot be closed", extra={"error": str(error)})


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
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=_HEADER_MILLISECONDS, max_buffer_size=_HEADER_BYTES
        ),
        log_enabled=False,
    )
