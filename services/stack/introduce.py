"""MLflow with its administrator alone in; our services' account and its webhook to serving out.

Done again at every start, and nothing then if all is as it should be.
https://mlflow.org/docs/latest/self-hosting/security/basic-http-auth/,
https://mlflow.org/docs/latest/ml/webhooks/.
"""

from pathlib import Path

import httpx

MLFLOW = "http://mlflow:5000"
SECRETS = Path("/run/secrets")
SERVICES = "relay"  # the account of the steps, of serving, of the exporter and the page
HOOK = {
    "name": "relay-serving",
    "url": "http://serving:8000/v1/registry-events",
    "events": [
        {"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"},
        {"entity": "MODEL_VERSION_ALIAS", "action": "DELETED"},
        {"entity": "MODEL_VERSION_TAG", "action": "SET"},
        {"entity": "MODEL_VERSION_TAG", "action": "DELETED"},
    ],
}


def secret(name: str) -> str:
    """Read one of our secrets."""
    return (SECRETS / name).read_text(encoding="utf-8")


def keep_account(mlflow: httpx.Client, user: str, password: str) -> None:
    """Have an account that this password opens."""
    if mlflow.get("/2.0/mlflow/users/current", auth=(user, password)).is_success:
        return
    body = {"username": user, "password": password}
    if mlflow.get("/2.0/mlflow/users/get", params={"username": user}).is_success:
        mlflow.patch("/2.0/mlflow/users/update-password", json=body).raise_for_status()
    else:
        mlflow.post("/2.0/mlflow/users/create", json=body).raise_for_status()


def keep_webhook(mlflow: httpx.Client, key: str) -> None:
    """Have MLflow tell serving of aliases and tags; serving polls besides."""
    found = mlflow.get("/2.0/mlflow/webhooks").raise_for_status().json().get("webhooks", [])
    if HOOK["name"] not in {hook["name"] for hook in found}:
        mlflow.post("/2.0/mlflow/webhooks", json=HOOK | {"secret": key}).raise_for_status()


def main() -> None:
    """Do both as the administrator. Raises httpx.HTTPError where MLflow refuses."""
    login = ("admin", secret("mlflow-admin"))
    with httpx.Client(base_url=f"{MLFLOW}/api", auth=login, timeout=30) as mlflow:
        keep_account(mlflow, SERVICES, secret("mlflow"))
        keep_webhook(mlflow, secret("registry-events"))


if __name__ == "__main__":
    main()
