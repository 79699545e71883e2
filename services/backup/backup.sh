#!/bin/bash
# A running stack in; a tar of all that cannot be made again, with a checksum for each file, out:
#   docker compose run --rm -T backup > relay.tar
# The databases come first, then the files that they name, which are written before they are named;
# of the data registry, for the same reason, git comes before the data.
set -euo pipefail
cd /staging

for name in airflow mlflow optuna; do
  pg_dump --format=custom --file="$name.dump" "$name"
done
take() { # a folder of /volumes, as it is now: what still grows or goes is no error
  { tar --create --directory=/volumes "$@" || [ $? = 1 ]; } | tar --extract --preserve-permissions --directory=volumes
}
mkdir volumes
[ ! -e /volumes/relay/data-registry.git ] || take relay/data-registry.git
take --exclude=relay/data-registry.git relay
take mlflow page airflow-logs secrets/kept
take --exclude='*.parquet' prediction-log # a segment that goes meanwhile has its sealed file by then
take --exclude='*.log' --exclude='*.ids' prediction-log
find . -type f -print0 | xargs -0 sha256sum > /tmp/SHA256SUMS
mv /tmp/SHA256SUMS .
tar --create .
