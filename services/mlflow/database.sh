#!/bin/sh
# MLflow's database in, empty or of an older version; the tables of this one out.
set -eu
mlflow db upgrade "$MLFLOW_BACKEND_STORE_URI"
python -m mlflow.server.auth db upgrade --url "$MLFLOW_BACKEND_STORE_URI"
