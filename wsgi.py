"""The WSGI entry point: `gunicorn wsgi:app`, and what `flask` finds by itself."""

import sys

from leadapp.app import create_app
from leadapp.config import read
from leadapp.errors import ConfigurationError

try:
    app = create_app(read())
except ConfigurationError as error:
    sys.stderr.write(f"Leadapp cannot start. {error}\n")
    sys.exit(3)  # what makes gunicorn give up at once instead of trying again and again
