"""The stack's links and secrets in; where to go, and as whom, on the screen of who asks."""

import os
import sys
from pathlib import Path

SECRETS = Path("/run/secrets")
PASSWORDS = {  # name -> the file of the password, if there is one
    "page": None,
    "airflow": "airflow-admin",
    "mlflow": "mlflow-admin",
    "grafana": "grafana-admin",
    "evidently": None,
    "tensorboard": None,
    "serving": None,
    "prometheus": None,
    "alertmanager": None,
}


def line(name: str) -> str:
    """Describe one address."""
    link, file, login = os.environ[f"RELAY_{name.upper()}_LINK"], PASSWORDS[name], ""
    if file:
        login = f"login admin, password {(SECRETS / file).read_text(encoding='utf-8')}"
    return f"  {name:<13} {link:<23} {login}".rstrip()


if __name__ == "__main__":
    sys.stdout.write("\n".join(["GO TO", *map(line, PASSWORDS), "", ""]))
