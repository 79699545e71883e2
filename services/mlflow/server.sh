#!/bin/sh
# MLflow's tracking server and registry, with accounts. Two secrets it takes from its environment only.
set -eu
MLFLOW_FLASK_SERVER_SECRET_KEY=$(cat /run/secrets/session)
MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY=$(cat /run/secrets/webhooks)
export MLFLOW_FLASK_SERVER_SECRET_KEY MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY
exec mlflow server --app-name basic-auth --host 0.0.0.0 --port 5000 --workers 1 \
  --serve-artifacts --artifacts-destination "$ARTIFACTS"
