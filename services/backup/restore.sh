#!/bin/bash
# What `backup` made in; the volumes of an empty stack, filled, out:
#   docker compose run --rm -T restore < relay.tar && docker compose up --wait
# Nothing is written before every checksum is right. The databases follow at `up`, in `databases`.
set -euo pipefail

for volume in /volumes/*; do
  if [ -n "$(ls -A "$volume")" ]; then
    echo "$(basename "$volume") is not empty: restore fills an empty stack (docker compose down --volumes)" >&2
    exit 1
  fi
done
cd /staging
tar --extract --preserve-permissions --numeric-owner
sha256sum --check --quiet SHA256SUMS
for volume in volumes/*; do
  cp --archive "$volume/." "/$volume/"
done
chown 999:999 ./*.dump /volumes/dumps
mv ./*.dump /volumes/dumps/
(cd / && grep '  \./volumes/' /staging/SHA256SUMS | sha256sum --check --quiet)
echo "$(wc -l < SHA256SUMS) files came back whole; now: docker compose up --wait" >&2
