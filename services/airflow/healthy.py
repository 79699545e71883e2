"""``healthy.py <part>``: 0 if Airflow's API says of that part that it is healthy, else 1.

Without a part: if the API itself answers, the part of it that tasks speak to, too, which builds
itself at the first request. The standard library only: it runs every few seconds.
"""

import json
import sys
from urllib.request import urlopen

API = "http://airflow:8080"


def healthy(part: str) -> bool:
    """Ask for one part: ``scheduler``, ``dag_processor``, ``triggerer``."""
    with urlopen(f"{API}/api/v2/monitor/health", timeout=5) as answer:  # noqa: S310 -- it is http
        return bool(json.load(answer)[part]["status"] == "healthy")


def answers() -> bool:
    """Ask the API server for both of its halves."""
    with urlopen(f"{API}/execution/health", timeout=10):  # noqa: S310 -- it is http
        return healthy("metadatabase")


if __name__ == "__main__":
    sys.exit(0 if (healthy(sys.argv[1]) if sys.argv[1:] else answers()) else 1)
