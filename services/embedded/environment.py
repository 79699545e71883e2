"""Settings in; the environment that every program of the platform shares out. No secret is in it.

Airflow's names: https://airflow.apache.org/docs/apache-airflow/stable/configurations-ref.html;
an option that ends in ``_CMD`` is the command that prints the secret.
"""

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from services.embedded import binaries
from services.embedded.credentials import ADMIN, AIRFLOW_LOOKING, EXPORTER, REGISTRY_EVENTS
from services.embedded.settings import HOST, SERVED, Embedded

MARK = "RELAY_PLATFORM"  # which platform a process belongs to: how a stray one is found
NO_TELEMETRY = {
    "DO_NOT_TRACK": "1",
    "SCARF_ANALYTICS": "false",
    "SCARF_NO_ANALYTICS": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
}


def shared(settings: Embedded, inherited: Mapping[str, str]) -> dict[str, str]:
    """Give what every program finds in its environment, on top of what we inherited ourselves.

    Of what was inherited, other Airflows' and MLflows' settings are left out; a ``RELAY_`` folder
    or link that the person has set is kept.
    """
    foreign = ("AIRFLOW", "MLFLOW_", "PYTHONPATH", "PYTHONHOME", "SUPERVISOR_")
    kept = {name: value for name, value in inherited.items() if not name.startswith(foreign)}
    return {
        **_folders(settings.home),
        **_links(settings),
        **kept,
        **NO_TELEMETRY,
        **_ours(settings),
        **_tools(settings),
    }


def _folders(home: Path) -> dict[str, str]:
    return {
        "RELAY_PREDICTION_LOG": str(home / "prediction-log"),
        "RELAY_CHECKS": str(home / "checks"),
        "RELAY_EVIDENTLY_WORKSPACE": str(home / "evidently"),
        "RELAY_TENSORBOARD_LOGS": str(home / "tensorboard"),
    }


def _links(settings: Embedded) -> dict[str, str]:
    return {f"RELAY_{name.upper()}_LINK": settings.url(name) for name in _served()}


def _served() -> list[str]:
    return [name for name in SERVED if name != "grafana" or binaries.find(name)]


def _ours(settings: Embedded) -> dict[str, str]:
    served, secrets = _served(), settings.home / "secrets"
    return {
        MARK: str(settings.home),
        "RELAY_HOME": str(settings.home),
        "RELAY_COMMAND": str(Path(sys.executable).with_name("relay")),
        **{f"RELAY_{name.upper()}_URL": settings.url(name) for name in served},
        **{f"RELAY_{name.upper()}_PORT": str(settings.port(name)) for name in served},
        "RELAY_SERVING_WEBHOOK_SECRET_FILE": str(secrets / REGISTRY_EVENTS),
        "RELAY_AIRFLOW_USER": EXPORTER,
        "RELAY_AIRFLOW_PASSWORD_FILE": str(secrets / AIRFLOW_LOOKING),
        "RELAY_SERVING_GRPC_PORT": str(settings.serving_grpc_port),
        "PYTHONUNBUFFERED": "1",
    }


def _tools(settings: Embedded) -> dict[str, str]:
    bundle = {
        "name": "relay",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(settings.dags), "refresh_interval": 5},
    }
    secrets, url = settings.home / "secrets", settings.url("airflow")
    airflow = {
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "2",
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__DAGS_FOLDER": str(settings.dags),
        "CORE__HOSTNAME_CALLABLE": "socket.gethostname",  # the default may wait for a name server
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORE__FERNET_KEY_CMD": _print(secrets / "airflow-fernet"),
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin,{EXPORTER}:viewer",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(secrets / "airflow-passwords.json"),
        "API__HOST": HOST,
        "API__PORT": str(settings.airflow_port),
        "API__BASE_URL": url,
        "API__WORKERS": "1",
        "API__SECRET_KEY_CMD": _print(secrets / "airflow-session"),
        "API_AUTH__JWT_SECRET_CMD": _print(secrets / "airflow-jwt"),
        "DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "90",  # after a crash; the default is 300
        "LOGGING__BASE_LOG_FOLDER": str(settings.home / "logs/airflow-tasks"),
    }
    return {
        "AIRFLOW_HOME": str(settings.home / "airflow"),
        **{f"AIRFLOW__{name}": value for name, value in airflow.items()},
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # 0.4 GB instead of 1.0
        "GIT_PYTHON_REFRESH": "quiet",
    }


def _print(file: Path) -> str:
    return shlex.join(["cat", str(file)])
