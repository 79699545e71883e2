"""`python -m services.exporter`: check results on disk in, `/metrics` for Prometheus out.

Stays up until SIGTERM or SIGINT.
"""

import signal
import sys

from prometheus_client import CollectorRegistry, start_http_server

from services.exporter.collector import ChecksCollector
from services.exporter.settings import ExporterSettings


def main() -> None:
    """Serve until told to stop; exit with a sentence if the address cannot be had."""
    settings = ExporterSettings()
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # before the server's thread inherits them
    registry = CollectorRegistry()
    registry.register(ChecksCollector(settings.checks))
    host, port = settings.exporter_host, settings.exporter_port
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        sys.exit(f"cannot listen on {host}:{port}: {error}; set RELAY_EXPORTER_HOST or _PORT")
    print(f"exporter on http://{host}:{server.server_port}/metrics", flush=True)  # noqa: T201
    signal.sigwait(signals)
    server.shutdown()
    thread.join()


if __name__ == "__main__":
    main()
