"""`python -m services.serving`: the environment in, a server out."""

import gc
import logging
import os
import sys

import uvloop
from prometheus_client import disable_created_metrics

from services.serving.logs import log_as_json
from services.serving.server import serve
from services.serving.settings import Settings

_TURN_SECONDS = 0.0005  # for which a thread that loads a model may keep the loop from answering


def main() -> int:
    """Serve until SIGTERM or SIGINT; 1 where it cannot listen, keep its cache or be asked."""
    log_as_json()
    settings = Settings()
    disable_created_metrics()  # type: ignore[no-untyped-call]  # half of all series
    _collect_rarely()
    sys.setswitchinterval(_TURN_SECONDS)
    try:
        answered_all = uvloop.run(serve(settings))
    except (OSError, ValueError) as error:
        fields = {"host": settings.serving_host, "port": settings.serving_port, "error": str(error)}
        logging.getLogger(__name__).error("cannot serve", extra=fields)
        return 1
    os._exit(0 if answered_all else 1)  # a model that still computes, or hangs, is not waited for


def _collect_rarely() -> None:
    """Look for cycles rarely, as requests leave next to none: that saves a fifth of the time."""
    gc.freeze()  # what was imported stays
    gc.set_threshold(50_000, 20, 100)


if __name__ == "__main__":
    sys.exit(main())
