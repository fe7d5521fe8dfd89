"""What is counted where it happens, and shown by /metrics.

No label holds anything of a visitor: forms by their key, the rest are words of our own.
"""

import time

from flask import Flask, Response, g, has_request_context, request

from leadapp.deliveries.claims import Ended
from leadapp.deliveries.models import DeliveryState
from leadapp.leads.intake import Accepted
from leadapp.leads.models import Form
from leadapp.ops import tally
from leadapp.ops.tally import Counter, Histogram

ACCEPT_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
DELIVERED_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 86400.0)

ACCEPTED = Counter("leadapp_leads_accepted", "Leads that were saved and answered with success", ("form", "source"))
ACCEPT_SECONDS = Histogram(
    "leadapp_accept_seconds", "Seconds from the whole post to its answer", ("source",), ACCEPT_BOUNDS
)
SETTLED = Counter("leadapp_deliveries_settled", "Deliveries as each attempt left them", ("kind", "state"))
ATTEMPTS = Counter("leadapp_attempts", "Attempts by how they ended", ("kind", "outcome"))
DELIVERED_SECONDS = Histogram(
    "leadapp_accept_to_delivered_seconds",
    "Seconds from planning a delivery (for most: accepting its lead) until it was taken",
    ("kind",),
    DELIVERED_BOUNDS,
)
COUNTERS = (ACCEPTED, SETTLED, ATTEMPTS)
HISTOGRAMS = (ACCEPT_SECONDS, DELIVERED_SECONDS)


def init_app(app: Flask) -> None:
    tally.init_app(app)
    app.after_request(_time_accepting)


def count_accepted(form: Form, accepted: Accepted, source: str) -> None:
    """A lead was saved: intake calls this, through a list that desk.py fills. A repeated Idempotency-Key is none."""
    if accepted.is_new:
        tally.count(ACCEPTED, form.key, source)
    if has_request_context():
        g.accepted_from = source


def _time_accepting(response: Response) -> Response:
    began = request.environ.get("leadapp.began_at")
    source = g.pop("accepted_from", None)
    if source and began is not None:
        tally.observe(ACCEPT_SECONDS, time.monotonic() - began, source)
    return response


def count_ended(ended: Ended) -> None:
    """An attempt ended and is written down: called by settle and sweep, through a list that desk.py fills."""
    tally.count(ATTEMPTS, ended.kind, ended.outcome)
    tally.count(SETTLED, ended.kind, ended.state)
    if ended.state is DeliveryState.DELIVERED:
        tally.observe(DELIVERED_SECONDS, ended.seconds, ended.kind)
