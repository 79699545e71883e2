#!/bin/sh
# Alertmanager with its usual configuration, in which the page is at the address of a single machine.
set -eu
sed 's|http://127\.0\.0\.1:8002/|http://page:8002/|' /etc/alertmanager/alertmanager.yml > /tmp/alertmanager.yml
exec alertmanager --config.file=/tmp/alertmanager.yml --storage.path=/alertmanager \
  --cluster.listen-address= --web.external-url="$EXTERNAL_URL" --web.route-prefix=/
