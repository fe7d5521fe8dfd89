#!/bin/sh
# Brings up what the service tests need, then runs the command given: sh .ci/services.sh .venv/bin/python COMMAND ...
# What already answers is used as it is (TEST_POSTGRES_URL, TEST_REDIS_URL, or this machine's own). What is missing
# is installed (Debian, as root), started in a temporary folder on ports of its own, and ended with this script.
set -eu

python=$1
shift
export TEST_POSTGRES_URL="${TEST_POSTGRES_URL:-postgresql://postgres@127.0.0.1:5432}"
export TEST_REDIS_URL="${TEST_REDIS_URL:-redis://127.0.0.1:6379/9}"
folder=$(mktemp -d)
chmod 755 "$folder"

say() { echo "services: $*" >&2; }
postgres_answers() {
  "$python" -c 'import sys, psycopg; psycopg.connect(sys.argv[1], connect_timeout=3)' "$TEST_POSTGRES_URL/postgres" 2>/dev/null
}
redis_answers() {
  "$python" -c 'import sys, redis; redis.Redis.from_url(sys.argv[1], socket_timeout=3).ping()' "$TEST_REDIS_URL" 2>/dev/null
}
free_port() {
  "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
postgres_folder() { # Debian keeps its programs out of PATH
  ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1
}
as_postgres() { # it does not run as root
  if [ "$(id -u)" = 0 ]; then
    (cd / && exec setpriv --reuid=postgres --regid=postgres --clear-groups "$@")
  else
    "$@"
  fi
}

end() {
  status=$?
  trap - EXIT INT TERM
  if [ -f "$folder/data/postmaster.pid" ]; then
    as_postgres "$(postgres_folder)/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1 || true
  fi
  if [ -f "$folder/redis.pid" ]; then kill "$(cat "$folder/redis.pid")" 2>/dev/null || true; fi
  rm -rf "$folder"
  exit "$status"
}
trap end EXIT
trap 'exit 130' INT TERM

missing=
postgres_answers || [ -n "$(postgres_folder)" ] || missing="$missing postgresql"
redis_answers || command -v redis-server >/dev/null || missing="$missing redis-server"
command -v chromium >/dev/null || missing="$missing chromium"
command -v chromedriver >/dev/null || missing="$missing chromium-driver"
if [ -n "$missing" ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "missing:$missing. Install them, then again."
    exit 1
  fi
  say "installing$missing"
  export DEBIAN_FRONTEND=noninteractive
  timeout 120 apt-get update -qq >&2
  # shellcheck disable=SC2086
  timeout 480 apt-get install -y -qq --no-install-recommends $missing >&2
fi

if ! postgres_answers; then
  port=$(free_port)
  say "starting PostgreSQL on port $port"
  mkdir "$folder/data"
  touch "$folder/postgres.log"
  if [ "$(id -u)" = 0 ]; then chown postgres "$folder/data" "$folder/postgres.log"; fi
  bin=$(postgres_folder)
  as_postgres "$bin/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --no-sync >/dev/null
  as_postgres "$bin/pg_ctl" -D "$folder/data" -w -t 60 -l "$folder/postgres.log" \
    -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=200" start >/dev/null
  TEST_POSTGRES_URL="postgresql://postgres@127.0.0.1:$port"
fi

if ! redis_answers; then
  port=$(free_port)
  say "starting Redis on port $port"
  redis-server --daemonize yes --bind 127.0.0.1 --port "$port" --save "" --appendonly no \
    --dir "$folder" --pidfile "$folder/redis.pid" --logfile "$folder/redis.log" >/dev/null
  TEST_REDIS_URL="redis://127.0.0.1:$port/9"
  tries=0
  until redis_answers; do
    tries=$((tries + 1))
    if [ "$tries" -gt 20 ]; then say "Redis does not start"; exit 1; fi
    sleep 0.2
  done
fi

"$@"
