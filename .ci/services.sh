#!/bin/sh
# Brings up what the service tests need, then runs the command given: sh .ci/services.sh pytest -m services
# What already answers is used as it is. What is missing is installed (Debian, as root) and started in a
# temporary folder, and ended with this script.
set -eu

folder=
ended() {
  status=$?
  trap - EXIT INT TERM
  if [ -n "$folder" ]; then
    if [ -f "$folder/postgres.log" ]; then
      as_postgres "$pg/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1 || true
    fi
    if [ -f "$folder/redis.pid" ]; then kill "$(cat "$folder/redis.pid")" 2>/dev/null || true; fi
    rm -rf "$folder"
  fi
  exit "$status"
}
trap ended EXIT
trap 'exit 130' INT TERM

say() { echo "services: $*" >&2; }

open_port() { "${PYTHON:-$1}" -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])), 2)' "$2" 2>/dev/null; }

python=$1  # the first word of the command is a Python
postgres_up() { open_port "$python" 5432; }
redis_up() { open_port "$python" 6379; }

need() { # need COMMAND-OR-PATH PACKAGE...
  if command -v "$1" >/dev/null 2>&1; then return; fi
  shift
  missing="$missing $*"
}

# PostgreSQL keeps its programs out of PATH; and it does not run as root.
find_pg() { ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1; }
as_postgres() {
  if [ "$(id -u)" = 0 ]; then
    (cd / && exec setpriv --reuid=postgres --regid=postgres --clear-groups "$@")
  else
    "$@"
  fi
}

missing=
postgres_up || [ -n "$(find_pg)" ] || missing="$missing postgresql"
redis_up || need redis-server redis-server
need chromium chromium
need chromedriver chromium-driver
if [ -n "$missing" ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    say "missing:$missing. Install them, then again."
    exit 1
  fi
  say "installing$missing"
  export DEBIAN_FRONTEND=noninteractive
  timeout 120 apt-get update -qq >&2
  # Nothing may start by itself: this script starts what it needs.
  # shellcheck disable=SC2086
  RUNLEVEL=1 timeout 480 apt-get install -y -qq --no-install-recommends $missing >&2
fi

folder=$(mktemp -d)
chmod 755 "$folder"
pg=$(find_pg)

if ! postgres_up; then
  say "starting PostgreSQL in $folder"
  mkdir "$folder/data"
  if [ "$(id -u)" = 0 ]; then chown postgres "$folder/data"; fi
  as_postgres "$pg/initdb" -D "$folder/data" -U postgres -A trust --no-sync >/dev/null
  touch "$folder/postgres.log"
  if [ "$(id -u)" = 0 ]; then chown postgres "$folder/postgres.log"; fi
  as_postgres "$pg/pg_ctl" -D "$folder/data" -w -t 60 -l "$folder/postgres.log" \
    -o "-p 5432 -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200" start >/dev/null
fi

if ! redis_up; then
  say "starting Redis in $folder"
  redis-server --daemonize yes --bind 127.0.0.1 --port 6379 --save "" --appendonly no \
    --dir "$folder" --pidfile "$folder/redis.pid" --logfile "$folder/redis.log" >/dev/null
  tries=0
  until redis_up; do
    tries=$((tries + 1))
    if [ "$tries" -gt 50 ]; then say "Redis does not start"; exit 1; fi
    sleep 0.1
  done
fi

"$@"
