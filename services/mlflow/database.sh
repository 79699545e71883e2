#!/bin/sh
# MLflow's database in, empty or of an older version; the tables of this one out. Those of its accounts
# the server itself brings up to date.
set -eu
exec mlflow db upgrade "$MLFLOW_BACKEND_STORE_URI"
