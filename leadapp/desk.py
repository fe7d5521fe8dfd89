"""create_desk: what web and workers share. A worker that loaded the pages too would need a third more memory."""

from flask import Flask

from leadapp import database, http, queue
from leadapp.config import ROOT, Settings
from leadapp.deliveries import claims, outbox, replay
from leadapp.deliveries import models as _deliveries  # noqa: F401 - every table is known before the first query
from leadapp.extensions import Base, db, mail
from leadapp.files import models as _files  # noqa: F401
from leadapp.leads import catalog, intake, integration, replaying
from leadapp.leads import models as _leads  # noqa: F401
from leadapp.messages.providers import smtp
from leadapp.ops import counted, logs, sentry
from leadapp.ops import models as _ops  # noqa: F401


def create_desk(config: Settings | None = None) -> Flask:
    """An application without pages; `config` is read from the environment when none is given."""
    settings = config or Settings()
    app = Flask("leadapp", template_folder=str(ROOT / "templates"), instance_path=str(ROOT / "instance"))
    app.config.from_mapping(settings.for_flask())
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = database.engine_options(settings)

    logs.init_app(app)
    sentry.start(settings)
    db.init_app(app)
    with app.app_context():
        database.watch(db.engine)
    Base.registry.configure()  # once, before anybody forks, and not by each process for itself
    app.teardown_request(database.end_request)
    catalog.init_app(app)
    mail.init_app(app)
    queue.init_app(app)
    http.init_app(app)
    smtp.init_app(app)
    counted.init_app(app)

    # What a lead shows of its deliveries is written in the transaction that changes them.
    outbox.ON_CHANGE, replay.LEADS = [integration.refresh], replaying
    claims.ON_ENDED[:], intake.ON_ACCEPTED[:] = [counted.count_ended], [counted.count_accepted]
    return app
