"""A folder in; the platform's secrets in it out, random, made once, readable by their owner alone.

Programs are told the file, never the secret: nothing shows in ``ps``, an environment or a log.
"""

import base64
import json
import os
import secrets
from pathlib import Path

ADMIN, EXPORTER = "admin", "exporter"  # Airflow's users: a person, and a program that only looks
MLFLOW_WEBHOOKS = "mlflow-webhooks"  # MLflow keeps its webhooks' secrets encrypted with it
AIRFLOW_LOOKING = "airflow-exporter"  # the second one's password
GRAFANA = "grafana-admin"
REGISTRY_EVENTS = "registry-events"  # MLflow signs with it what it tells serving


def keep(folder: Path) -> None:
    """Make each secret that is not there yet; those that are stay, so that a second start works."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    _once(folder / "airflow-jwt", secrets.token_hex(48))  # Airflow wants 64 characters at least
    _once(folder / "airflow-session", secrets.token_hex(32))
    _once(folder / "airflow-fernet", base64.urlsafe_b64encode(os.urandom(32)).decode())
    _once(folder / AIRFLOW_LOOKING, secrets.token_urlsafe(12))
    looking = (folder / AIRFLOW_LOOKING).read_text(encoding="utf-8")
    passwords = {ADMIN: secrets.token_urlsafe(12), EXPORTER: looking}
    _once(folder / "airflow-passwords.json", json.dumps(passwords))
    _once(folder / MLFLOW_WEBHOOKS, base64.urlsafe_b64encode(os.urandom(32)).decode())
    _once(folder / GRAFANA, secrets.token_urlsafe(12))
    _once(folder / REGISTRY_EVENTS, secrets.token_hex(32))


def airflow_password(folder: Path) -> str:
    """Give the password of the person who is Airflow's `ADMIN`."""
    passwords = json.loads((folder / "airflow-passwords.json").read_text(encoding="utf-8"))
    password: str = passwords[ADMIN]
    return password


def login(program: str, folder: Path) -> tuple[str, str]:
    """Give the login and the password that a program asks people for; empty where it does not."""
    if program == "airflow":
        return ADMIN, airflow_password(folder)
    if program == "grafana":
        return ADMIN, (folder / GRAFANA).read_text(encoding="utf-8")
    return "", ""


def _once(file: Path, secret: str) -> None:
    if file.exists():
        return
    half = file.with_suffix(".half")
    half.unlink(missing_ok=True)
    half.touch(0o600, exist_ok=False)
    half.write_text(secret, encoding="utf-8")
    half.rename(file)
