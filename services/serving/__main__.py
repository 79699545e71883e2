"""`python -m services.serving`: the environment in, a server out."""

import uvloop
from prometheus_client import disable_created_metrics

from services.serving.logs import log_as_json
from services.serving.server import serve
from services.serving.settings import Settings


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    log_as_json()
    disable_created_metrics()  # type: ignore[no-untyped-call]  # half of all series
    uvloop.run(serve(Settings()))


if __name__ == "__main__":
    main()
