"""An empty volume in; random secrets and, for each service, a folder with those it needs, out.

Runs as root, once at every start, before all else. What is kept stays as it is, so that a second
start works; what services read is written anew from it. A service mounts its own folder and no
other. Nothing is printed.
"""

import base64
import json
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

RELAY, DATABASE, GRAFANA, SEAWEEDFS = 10001, 999, 472, 1000  # the users that the images run as

Secrets = Mapping[str, str]


def token() -> str:
    """Give a secret that is safe in an address, a configuration file and a shell."""
    return secrets.token_urlsafe(24)


def fernet() -> str:
    """Give a key as the Fernet recipe wants it: https://cryptography.io/en/latest/fernet/."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


MADE: Mapping[str, Callable[[], str]] = {
    "postgres-postgres": token,
    "postgres-airflow": token,
    "postgres-mlflow": token,
    "postgres-optuna": token,
    "airflow-admin": token,
    "airflow-exporter": token,
    "airflow-jwt": lambda: secrets.token_hex(48),  # Airflow wants 64 characters at least
    "airflow-session": token,
    "airflow-fernet": fernet,
    "mlflow-admin": token,
    "mlflow-relay": token,
    "mlflow-session": token,
    "mlflow-webhooks": fernet,  # MLflow keeps its webhooks' secrets encrypted with it
    "registry-events": token,  # MLflow signs with it what it tells serving
    "serving-label": lambda: secrets.token_urlsafe(32),  # who brings it may tell what came true
    "grafana-admin": token,
    "valkey": token,
    "s3-access-key": lambda: secrets.token_hex(16),
    "s3-secret-key": token,
}


def folders(made: Secrets) -> dict[str, tuple[int, dict[str, str]]]:
    """Give, for each service, the user that it runs as and its files."""
    airflow = {
        "pgpass": pgpass("airflow", made),
        "jwt": made["airflow-jwt"],
        "fernet": made["airflow-fernet"],
        "broker": f"redis://:{made['valkey']}@valkey:6379/0",  # of workers, where there are any
    }
    passwords = {"admin": made["airflow-admin"], "exporter": made["airflow-exporter"]}
    api_server = {"session": made["airflow-session"], "passwords.json": json.dumps(passwords)}
    as_relay, label = {"mlflow": made["mlflow-relay"]}, {"label": made["serving-label"]}
    s3 = {"s3": s3_credentials(made)}
    mlflow = {
        "pgpass": pgpass("mlflow", made),
        "basic-auth.ini": basic_auth(made),
        "session": made["mlflow-session"],
        "webhooks": made["mlflow-webhooks"],
    }
    users = ("postgres", "airflow", "mlflow", "optuna")
    databases = {name: made[f"postgres-{name}"] for name in users}
    databases["pgpass"] = pgpass("postgres", made)
    logins = ("airflow-admin", "mlflow-admin", "grafana-admin", "registry-events")
    steps = as_relay | s3 | {"optuna": made["postgres-optuna"]}
    return {
        "postgres": (DATABASE, databases),
        "airflow": (RELAY, airflow),
        "airflow-api-server": (RELAY, airflow | api_server),
        "airflow-scheduler": (RELAY, airflow | steps),
        "mlflow": (RELAY, mlflow | s3),
        "serving": (RELAY, as_relay | label | {"registry-events": made["registry-events"]}),
        "simulator": (RELAY, label),
        "exporter": (RELAY, as_relay | {"airflow": made["airflow-exporter"]}),
        "page": (RELAY, as_relay),
        "valkey": (DATABASE, {"valkey.conf": f"requirepass {made['valkey']}\n"}),
        "seaweedfs": (SEAWEEDFS, {"s3.json": s3_identities(made)}),
        "bucket": (RELAY, s3),
        "grafana": (GRAFANA, {"admin": made["grafana-admin"]}),
        "person": (RELAY, steps | {name: made[name] for name in logins}),
    }


def pgpass(user: str, made: Secrets) -> str:
    """Write PostgreSQL's password file, which keeps a password out of addresses.

    https://www.postgresql.org/docs/17/libpq-pgpass.html
    """
    return f"*:*:*:{user}:{made[f'postgres-{user}']}\n"


def basic_auth(made: Secrets) -> str:
    """Write the file of MLflow's accounts; whoever has one may read and edit, not own.

    https://mlflow.org/docs/latest/self-hosting/security/basic-http-auth/
    """
    lines = [
        "[mlflow]",
        "default_permission = EDIT",
        "database_uri = postgresql+psycopg2://mlflow@postgres/mlflow",
        "admin_username = admin",
        f"admin_password = {made['mlflow-admin']}",
        "auth_cache_ttl_seconds = 60",  # a password is hashed slowly, and serving asks often
    ]
    return "\n".join([*lines, ""])


def s3_credentials(made: Secrets) -> str:
    """Write the file in which every client of S3 looks for its keys.

    https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
    """
    access, secret = made["s3-access-key"], made["s3-secret-key"]
    return f"[default]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n"


def s3_identities(made: Secrets) -> str:
    """Write SeaweedFS' file of those who may enter: us.

    https://github.com/seaweedfs/seaweedfs/wiki/Amazon-S3-API
    """
    keys = {"accessKey": made["s3-access-key"], "secretKey": made["s3-secret-key"]}
    actions = ["Admin", "Read", "List", "Tagging", "Write"]
    return json.dumps(
        {"identities": [{"name": "relay", "credentials": [keys], "actions": actions}]}
    )


def keep(root: Path) -> dict[str, str]:
    """Make each secret that is not there yet; give all."""
    kept = root / "kept"
    kept.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, make in MADE.items():
        if not (kept / name).exists():
            write(kept / name, make())
    return {name: (kept / name).read_text(encoding="utf-8").strip() for name in MADE}


def hand_out(root: Path, made: Secrets) -> None:
    """Write every service's folder; only its user can read it."""
    for service, (user, files) in folders(made).items():
        folder = root / service
        folder.mkdir(mode=0o700, exist_ok=True)
        for name, content in files.items():
            write(folder / name, content, user)
        os.chown(folder, user, -1)


def write(file: Path, content: str, user: int = -1) -> None:
    """Write a file that one user can read, whole or not at all."""
    half = file.with_name(f".{file.name}.half")
    half.unlink(missing_ok=True)
    half.touch(0o600, exist_ok=False)
    half.write_text(content, encoding="utf-8")
    os.chown(half, user, -1)
    half.rename(file)


if __name__ == "__main__":
    root = Path(sys.argv[1])
    hand_out(root, keep(root))
