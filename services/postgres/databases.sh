#!/bin/bash
# A running PostgreSQL in; a database each for Airflow, MLflow and Optuna, which only its own user may enter, out.
# Done again at every start, so that a first start that was cut off leaves nothing missing.
set -euo pipefail
for name in airflow mlflow optuna; do
  export PASSWORD_FILE=/run/secrets/$name # read by psql itself: nothing shows in ps
  psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 -v name="$name" <<'SQL'
\set password `cat "$PASSWORD_FILE"`
SELECT format('CREATE ROLE %I LOGIN', :'name')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
ALTER ROLE :"name" PASSWORD :'password';
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
  dump=/dumps/$name.dump # of a backup; `restore` has put it here
  if [ -e "$dump" ]; then
    pg_restore --exit-on-error --single-transaction --dbname="$name" "$dump"
    rm "$dump"
  fi
done
