"""The admin: which views it has, its menu, and rq-dashboard beside them."""

from typing import Any

from flask import Flask, request, url_for
from flask_admin import Admin
from flask_admin.theme import Bootstrap4Theme

from leadapp import headers
from leadapp.accounts import guard
from leadapp.accounts.guard import Access
from leadapp.admin import queues, showing
from leadapp.admin.audit_views import AuditView
from leadapp.admin.causes import needs_you_count
from leadapp.admin.deliveries import AttemptView, DeliveryView
from leadapp.admin.destinations import DestinationView
from leadapp.admin.forms import FormView
from leadapp.admin.leads import LeadView
from leadapp.admin.replays import ReplayView
from leadapp.admin.rules import RulesView
from leadapp.admin.senders import SendersView
from leadapp.admin.start import NeedsYouView, StartView
from leadapp.admin.stats import StatsView
from leadapp.admin.trying import TryView
from leadapp.audit import AuditEvent
from leadapp.deliveries.models import Attempt, Delivery, Destination, Replay
from leadapp.leads.models import Form, Lead

MENU: tuple[tuple[str, str, Access], ...] = (
    ("Leads", "leads.index_view", guard.READERS),
    ("Needs you", "needs_you.index", guard.STAFF),
    ("Forms", "desk_forms.index_view", guard.DESK),
    ("Destinations", "destinations.index_view", guard.DESK),
    ("Deliveries", "deliveries.index_view", guard.STAFF),
    ("Attempts", "attempts.index_view", guard.SENDERS),
    ("Figures", "figures.index", guard.STAFF),
    ("Audit", "audit.index_view", guard.SENDERS),
    ("Queues", "rq_dashboard.queues_overview", guard.OPERATORS),
)

# Pages that stand under an entry of the menu without being its list
UNDER = {"rules": "desk_forms", "senders": "desk_forms", "trying": "destinations", "replays": "needs_you"}


def init_app(app: Flask) -> None:
    """Mount everything under /admin/."""
    admin = Admin(
        name="Leadapp",
        index_view=StartView(),
        theme=Bootstrap4Theme(),
        csp_nonce_generator=headers.nonce,
    )
    admin.add_views(
        LeadView(Lead, "leads"),
        NeedsYouView(name="Needs you", endpoint="needs_you", url="needs-you"),
        FormView(Form, "desk_forms", url="forms"),
        RulesView(name="Rules", endpoint="rules", url="forms/rules"),
        SendersView(name="Senders", endpoint="senders", url="forms/senders"),
        DestinationView(Destination, "destinations"),
        TryView(name="Try", endpoint="trying", url="destinations/try"),
        DeliveryView(Delivery, "deliveries"),
        AttemptView(Attempt, "attempts"),
        ReplayView(Replay, "replays"),
        StatsView(name="Figures", endpoint="figures", url="figures"),
        AuditView(AuditEvent, "audit"),
    )
    admin.init_app(app)
    showing.init_app(app)
    app.jinja_env.globals.update(desk_menu=menu, needs_you_count=needs_you_count)
    queues.init_app(app)


def menu() -> list[dict[str, Any]]:
    """The entries that this person may open; the one that is open is marked."""
    here = (request.endpoint or "").split(".")[0]
    here = UNDER.get(here, here)
    return [
        {"label": label, "url": url_for(endpoint), "is_here": endpoint.split(".")[0] == here}
        for label, endpoint, access in MENU
        if guard.may(access)
    ]
