#!/bin/sh
# The stack's own `relay`: `status` says besides where to go, and as whom.
set -eu
[ "${1:-}" != status ] || [ $# -gt 1 ] || python /app/services/stack/logins.py
exec relay "$@"
