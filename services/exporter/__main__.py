"""`python -m services.exporter`: other systems' state in, `/metrics` for Prometheus out.

Stays up until SIGTERM or SIGINT.
"""

import logging
import signal
import sys

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server

from services.exporter.addresses import addresses
from services.exporter.airflow import AirflowSource
from services.exporter.airflow_api import AirflowApi
from services.exporter.asking import Asked
from services.exporter.checks import ChecksSource
from services.exporter.collector import SourcesCollector
from services.exporter.data_registry import DataRegistrySource
from services.exporter.disk import DiskSource
from services.exporter.mlflow import MlflowSource
from services.exporter.rest import RestApi
from services.exporter.settings import ExporterSettings


def main() -> None:
    """Serve until told to stop; exit with a sentence if the address cannot be had."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    settings = ExporterSettings()
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # before other threads inherit them
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(
        SourcesCollector(
            sources(settings), settings.exporter_deadline_seconds, addresses(settings.links())
        )
    )
    host, port = settings.exporter_host, settings.exporter_port
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        sys.exit(f"cannot listen on {host}:{port}: {error}; set RELAY_EXPORTER_HOST or _PORT")
    print(f"exporter on http://{host}:{server.server_port}/metrics", flush=True)  # noqa: T201
    signal.sigwait(signals)
    server.shutdown()
    thread.join()


def sources(settings: ExporterSettings) -> list[Asked]:
    """Give all that are asked: files at every scrape, other programs no more often than said."""
    seconds, fresh = settings.exporter_deadline_seconds, settings.exporter_fresh_seconds
    registry = DataRegistrySource(settings.data_registry, settings.quarantine, seconds)
    found = [
        Asked(ChecksSource(settings.checks), seconds),
        Asked(DiskSource(settings.home, settings.prediction_log), seconds),
        Asked(registry, seconds, fresh),
    ]
    if url := settings.mlflow_url:
        rest = RestApi(url, seconds, settings.mlflow_login())
        found.append(Asked(MlflowSource(rest), seconds, fresh))
    if url := settings.airflow_url:
        user, file = settings.airflow_user, settings.airflow_password_file
        api = AirflowApi(url, user, file, seconds)
        found.append(Asked(AirflowSource(api), seconds, fresh))
    return found


if __name__ == "__main__":
    main()
