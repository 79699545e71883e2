#!/bin/bash
# An empty PostgreSQL in; a database each for Airflow and MLflow, which only its own user may enter, out.
# The image runs it once, when it makes the cluster.
set -euo pipefail
for name in airflow mlflow; do
  export PASSWORD_FILE=/run/secrets/$name  # read by psql itself: nothing shows in ps
  psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres -v name="$name" <<'SQL'
\set password `cat "$PASSWORD_FILE"`
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
done
