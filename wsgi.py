"""The WSGI entry point: `gunicorn wsgi:app`, and what `flask` finds by itself."""

import gc
import sys

from leadapp.app import create_app
from leadapp.config import read
from leadapp.errors import ConfigurationError

try:
    app = create_app(read())
except ConfigurationError as error:
    sys.stderr.write(f"Leadapp cannot start. {error}\n")
    sys.exit(3)  # what makes gunicorn give up at once instead of trying again and again

# What the app is made of lives as long as the process: left in, each full collection stops a request for 60 ms.
gc.collect()
gc.freeze()

# A post waits some ten times for PostgreSQL or Redis, and each time another thread may keep the interpreter for 5 ms
# by default. At 100 posts a second the p99 is 340 to 800 ms with that, 60 to 214 ms with this (docs/performance.md).
sys.setswitchinterval(0.0005)
