#!/bin/sh
# Airflow's API and UI. Its list of passwords must be a file that it can write to, so it gets a copy.
set -eu
mkdir -p "$AIRFLOW_HOME"
install -m 600 /run/secrets/passwords.json "$AIRFLOW_HOME/passwords.json"
exec airflow api-server
