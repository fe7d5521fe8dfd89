"""create_app: the table of contents of Leadapp. What works without a request is in desk.py."""

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from leadapp import cli, errorpages, headers, limits
from leadapp.accounts import setup as accounts
from leadapp.admin import site
from leadapp.config import Settings
from leadapp.desk import create_desk
from leadapp.leads import form_routes, public_routes, webhook_routes
from leadapp.ops import health, metrics, openapi, stats
from leadapp.slowclients import BodyFirst
from leadapp.webextensions import csrf


def create_app(config: Settings | None = None) -> Flask:
    """The application with all its pages; `config` is read from the environment when none is given."""
    settings = config or Settings()
    app = create_desk(settings)
    hops = settings.trusted_proxy_hops
    inner = BodyFirst(app.wsgi_app, settings)
    app.wsgi_app = ProxyFix(inner, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]

    headers.init_app(app)
    csrf.init_app(app)
    limits.init_app(app)
    health.init_app(app)

    for blueprint in (
        *(public_routes.public, form_routes.forms, webhook_routes.webhooks),
        *(stats.stats, metrics.metrics, openapi.api),
    ):
        app.register_blueprint(blueprint)
    accounts.init_app(app)
    site.init_app(app)
    errorpages.init_app(app)
    cli.init_app(app)
    return app
