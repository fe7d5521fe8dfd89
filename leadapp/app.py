"""create_app: the table of contents of Leadapp."""

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from leadapp import cli, database, errorpages, headers, http, limits, queue
from leadapp.accounts import models as _accounts  # noqa: F401 - every table is known before the first query
from leadapp.accounts import setup as accounts
from leadapp.admin import site
from leadapp.config import ROOT, Settings
from leadapp.deliveries import claims, outbox, replay
from leadapp.deliveries import models as _deliveries  # noqa: F401
from leadapp.extensions import csrf, db, mail, migrate
from leadapp.files import models as _files  # noqa: F401
from leadapp.leads import catalog, form_routes, intake, integration, public_routes, replaying, webhook_routes
from leadapp.leads import models as _leads  # noqa: F401
from leadapp.messages.providers import smtp
from leadapp.ops import health, logs, metrics, openapi, sentry, stats
from leadapp.ops import models as _ops  # noqa: F401
from leadapp.slowclients import BodyFirst


def create_app(config: Settings | None = None) -> Flask:
    """The application; `config` is read from the environment when none is given."""
    settings = config or Settings()
    app = Flask(__name__, template_folder=str(ROOT / "templates"), instance_path=str(ROOT / "instance"))
    app.config.from_mapping(settings.for_flask())
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = database.engine_options(settings)
    hops = settings.trusted_proxy_hops
    inner = BodyFirst(app.wsgi_app, settings)
    app.wsgi_app = ProxyFix(inner, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]

    logs.init_app(app)
    sentry.start(settings)
    headers.init_app(app)
    db.init_app(app)
    migrate.init_app(app, db, directory=str(ROOT / "migrations"), render_as_batch=True, compare_type=True)
    with app.app_context():
        database.watch(db.engine)
    app.teardown_request(database.end_request)
    catalog.init_app(app)
    mail.init_app(app)
    csrf.init_app(app)
    queue.init_app(app)
    http.init_app(app)
    smtp.init_app(app)
    limits.init_app(app)
    health.init_app(app)
    metrics.init_app(app)

    for blueprint in (public_routes.public, form_routes.forms, webhook_routes.webhooks, stats.stats, openapi.api):
        app.register_blueprint(blueprint)
    accounts.init_app(app)
    site.init_app(app)
    errorpages.init_app(app)

    # What a lead shows of its deliveries is written in the transaction that changes them.
    outbox.ON_CHANGE, replay.LEADS = [integration.refresh], replaying
    claims.ON_ENDED[:], intake.ON_ACCEPTED[:] = [metrics.count_ended], [metrics.count_accepted]

    cli.init_app(app)
    return app
