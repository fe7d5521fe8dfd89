"""Leadapp: the lead desk of small-business sites. `app.create_app` is the way in."""

__version__ = "0.1.0"
