"""0 if the Celery worker of this container answers a ping through the broker, else 1."""

import socket
import sys
from pathlib import Path

from celery import Celery  # in Airflow's environment

BROKER = Path("/run/secrets/broker")

if __name__ == "__main__":
    app = Celery(broker=BROKER.read_text(encoding="utf-8"))
    me = f"celery@{socket.gethostname()}"
    sys.exit(0 if app.control.inspect(destination=[me], timeout=5).ping() else 1)
