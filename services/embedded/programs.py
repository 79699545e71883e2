"""Settings in; the platform's programs out, each with how to tell that it is well."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.embedded.credentials import ADMIN, GRAFANA, MLFLOW_WEBHOOKS
from services.embedded.settings import HOST, ROOT, Embedded

# exports its first argument, the content of the file that is the second, and runs the others
WITH_SECRET = ("sh", "-c", 'export "$1=$(cat "$2")"; shift 2; exec "$@"', "with-secret")
WEBHOOKS = {  # to us: on the loopback address, without TLS
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
}
ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # the cores are for training and Airflow's tasks


@dataclass(frozen=True)
class Program:
    """One program: what to run, and the address that says it is well."""

    name: str
    command: tuple[str, ...]
    listens_as: str = ""  # whose port it takes: the field `<listens_as>_port` of the settings
    health: str = ""  # a path at the port of `listens_as` or `asked_at`; 200 is well
    asked_at: str = ""
    part: str = ""  # the answer's part that must say {"status": "healthy"}
    stop_signal: str = "TERM"
    once: bool = False  # runs to its end, and is well when that was a good one
    after: str = ""  # starts when that program is well; by itself if empty
    environment: dict[str, str] = field(default_factory=dict)


def programs(settings: Embedded, binaries: Mapping[str, str]) -> list[Program]:
    """Give every program, in the order in which they are named to people.

    ``binaries`` are the paths of those that no Python package brings, as far as they are here.
    """
    uis = [evidently(settings), tensorboard(settings)]
    brought = [mlflow(settings), *airflow(settings), *uis, *ours()]
    others = {"prometheus": prometheus, "alertmanager": alertmanager, "grafana": grafana}
    return [
        *brought,
        *(others[name](settings, binaries[name]) for name in others if name in binaries),
    ]


def mlflow(settings: Embedded) -> Program:
    """MLflow: runs, registry and artifacts, which pass through it: nobody else needs the disk."""
    home = settings.home / "mlflow"
    store = ("--backend-store-uri", f"sqlite:///{home}/mlflow.db")
    artifacts = ("--serve-artifacts", "--artifacts-destination", str(home / "artifacts"))
    listen = ("--host", HOST, "--port", str(settings.mlflow_port), "--workers", "1")
    key = ("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", str(settings.home / "secrets" / MLFLOW_WEBHOOKS))
    command = (*WITH_SECRET, *key, _here("mlflow"), "server", *listen, *store, *artifacts)
    return Program("mlflow", command, "mlflow", "/health", environment=ONE_THREAD | WEBHOOKS)


def airflow(settings: Embedded) -> list[Program]:
    """Airflow's three programs, and the one that readies its database before they start.

    The API server's health is asked of the part that tasks speak to: it builds itself at the first
    request, for which no task shall wait.
    """
    run = str(settings.airflow_environment / "bin/airflow")
    migrate = Program("airflow-migrate", (run, "db", "migrate"), once=True)
    return [
        migrate,
        Program(
            "airflow-api-server",
            (run, "api-server"),
            listens_as="airflow",
            health="/execution/health",
            after=migrate.name,
        ),
        Program(
            "airflow-scheduler",
            (run, "scheduler", "--skip-serve-logs"),
            asked_at="airflow",
            health="/api/v2/monitor/health",
            part="scheduler",
            after=migrate.name,
        ),
        Program(
            "airflow-dag-processor",
            (run, "dag-processor"),
            asked_at="airflow",
            health="/api/v2/monitor/health",
            part="dag_processor",
            after=migrate.name,
            stop_signal="KILL",  # it takes 15 s to end by itself, and has nothing to lose
        ),
    ]


def evidently(settings: Embedded) -> Program:
    """Evidently's UI over the reports that the monitor saves."""
    listen = ("--host", HOST, "--port", str(settings.evidently_port))
    workspace = ("--workspace", str(settings.home / "evidently"))
    command = (sys.executable, "-m", "services.evidently", *workspace, *listen)
    return Program("evidently", command, "evidently", "/api/version", environment=ONE_THREAD)


def tensorboard(settings: Embedded) -> Program:
    """TensorBoard over the event files that training writes; it asks nobody who they are.

    One process: its second one, which loads faster, would not be started again if it died.
    """
    listen = ("--host", HOST, "--port", str(settings.tensorboard_port))
    logs = ("--logdir", str(settings.home / "tensorboard"), "--load_fast=false")
    command = (_here("tensorboard"), *logs, *listen)
    return Program(
        "tensorboard", command, "tensorboard", "/data/environment", environment=ONE_THREAD
    )


def ours() -> list[Program]:
    """Our own services; they read their ports and folders from the shared environment."""
    run = (sys.executable, "-m")
    return [
        Program("serving", (*run, "services.serving"), "serving", "/live", environment=ONE_THREAD),
        Program("exporter", (*run, "services.exporter"), "exporter", "/metrics"),
        Program("page", (*run, "services.page"), "page", "/live"),
    ]


def simulator(arguments: list[str], environment: dict[str, str]) -> Program:
    """Give the traffic, which runs when it is asked for, and to its end."""
    command = (sys.executable, "-m", "services.simulator", *arguments)
    return Program("simulator", command, once=True, environment=environment)


def prometheus(settings: Embedded, binary: str) -> Program:
    """Prometheus, on the configuration that `configuration.lay` puts beside its data."""
    home = settings.home / "prometheus"
    command = (
        binary,
        f"--config.file={home}/config/prometheus.yml",
        f"--storage.tsdb.path={home}/data",
        f"--web.listen-address={HOST}:{settings.prometheus_port}",
        "--enable-feature=expand-external-labels",
    )
    return Program("prometheus", command, "prometheus", "/-/ready")


def alertmanager(settings: Embedded, binary: str) -> Program:
    """Alertmanager, alone: it needs no port to speak to others of its kind."""
    home = settings.home / "alertmanager"
    command = (
        binary,
        f"--config.file={home}/config/alertmanager.yml",
        f"--storage.path={home}/data",
        f"--web.listen-address={HOST}:{settings.alertmanager_port}",
        "--cluster.listen-address=",
    )
    return Program("alertmanager", command, "alertmanager", "/-/ready")


def grafana(settings: Embedded, binary: str) -> Program:
    """Grafana, with our dashboards; whoever is on this machine may look, ``admin`` may more.

    https://grafana.com/docs/grafana/latest/setup-grafana/configure-grafana/
    """
    home, secrets = settings.home / "grafana", settings.home / "secrets"
    options = {
        "PATHS_DATA": str(home / "data"),
        "PATHS_LOGS": str(home / "data/logs"),
        "PATHS_PLUGINS": str(home / "data/plugins"),
        "PATHS_PROVISIONING": str(home / "config"),
        "SERVER_HTTP_ADDR": HOST,
        "SERVER_HTTP_PORT": str(settings.grafana_port),
        "SECURITY_ADMIN_USER": ADMIN,
        "SECURITY_ADMIN_PASSWORD__FILE": str(secrets / GRAFANA),
        "ANALYTICS_REPORTING_ENABLED": "false",
        "ANALYTICS_CHECK_FOR_UPDATES": "false",
        "ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "LOG_MODE": "console",
    }
    environment = {f"GF_{name}": value for name, value in options.items()}
    environment["RELAY_DASHBOARDS"] = str(ROOT / "grafana/dashboards")
    command = (binary, "server", "--homepath", settings.grafana_home)
    return Program("grafana", command, "grafana", "/api/health", environment=environment)


def _here(script: str) -> str:
    return str(Path(sys.executable).with_name(script))
