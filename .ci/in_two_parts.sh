#!/bin/sh
# The service tests: first those that compare times, by themselves, then the others, two at once (they mostly wait).
# With further arguments (-k name, a file) only those that were chosen, one after the other.
set -eu

python=$1
shift
if [ "$#" -gt 0 ]; then
  exec "$python" -m pytest -m services "$@"
fi
"$python" -m pytest -m "services and alone"
exec "$python" -m pytest -m "services and not alone" -n 2 --dist loadfile
