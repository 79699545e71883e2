"""`python -m services.page`: the environment in, the page out; stays up until SIGTERM or SIGINT."""

import logging
import signal
import sys

import uvicorn
from pydantic import ValidationError

from services.page.app import create_app
from services.page.settings import PageSettings


def main() -> None:
    """Serve until told to stop; exit with a sentence if a setting is wrong."""
    try:
        settings = PageSettings()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = "_".join(["RELAY", *(str(part).upper() for part in first["loc"])])
        sys.exit(f"{name}: {first['msg']}")  # without the value: an address may hold a password
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # once uvicorn has answered all
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    uvicorn.run(
        create_app(settings),
        host=settings.page_host,
        port=settings.page_port,
        access_log=False,
        log_level="info",
        server_header=False,
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
