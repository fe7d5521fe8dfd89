"""Rate limits: counted in Redis, by each process for itself while Redis is away."""

from flask import Flask

from leadapp.webextensions import limiter


def init_app(app: Flask) -> None:
    """One Redis round trip for a limited request; a lost Redis never answers 500."""
    settings = app.config["SETTINGS"]
    if settings.app_env == "test" or settings.queue_eager:
        app.config["RATELIMIT_STORAGE_URI"] = "memory://"
    else:
        app.config["RATELIMIT_STORAGE_URI"] = settings.redis_url
        pool = app.extensions["queue"].redis.connection_pool
        app.config["RATELIMIT_STORAGE_OPTIONS"] = {"connection_pool": pool}
    app.config["RATELIMIT_IN_MEMORY_FALLBACK_ENABLED"] = True
    app.config["RATELIMIT_SWALLOW_ERRORS"] = settings.app_env != "test"  # a test shall see them
    limiter.init_app(app)
    if limiter.enabled:
        # Every limit stands on its view and is checked there; this hook would look for general ones on every request.
        app.before_request_funcs[None].remove(limiter._check_request_limit)
