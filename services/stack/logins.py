"""The stack's ports and secrets in; where to go, and as whom, on the screen of who asks."""

import os
import sys
from pathlib import Path

SECRETS = Path("/run/secrets")
ADDRESSES = {  # name -> usual port, the file of the password if there is one
    "page": (8002, None),
    "airflow": (8080, "airflow-admin"),
    "mlflow": (5000, "mlflow-admin"),
    "grafana": (3000, "grafana-admin"),
    "evidently": (8001, None),
    "tensorboard": (6006, None),
    "serving": (8000, None),
    "prometheus": (9090, None),
    "alertmanager": (9093, None),
}


def line(name: str) -> str:
    """Describe one address."""
    usual, file = ADDRESSES[name]
    port = os.environ.get(f"RELAY_{name.upper()}_PORT", usual)
    login = ""
    if file:
        login = f"login admin, password {(SECRETS / file).read_text(encoding='utf-8')}"
    return f"  {name:<13} http://127.0.0.1:{port:<6} {login}".rstrip()


if __name__ == "__main__":
    sys.stdout.write("\n".join(["GO TO", *map(line, ADDRESSES), "", ""]))
