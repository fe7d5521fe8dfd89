"""Leads: the list, its search, filters and export, the page of one lead, its files. Nothing here edits a lead."""

import io
from typing import Any
from uuid import UUID

from flask import Response, abort, flash, redirect, request, send_file, url_for
from flask_admin import expose
from flask_admin.actions import action
from markupsafe import Markup, escape
from sqlalchemy import select
from sqlalchemy.orm import joinedload, load_only, undefer

from leadapp.accounts import guard
from leadapp.admin import finding, lead_page, lead_rules, replay_new, sending, showing, sorting
from leadapp.admin.filters import Choice, Folder, NumberChoice, Since, Until, YesNo, named, said
from leadapp.admin.keyset import KeysetView, Part
from leadapp.deliveries.models import Delivery, DeliveryState
from leadapp.deliveries.replay_choice import What
from leadapp.extensions import db
from leadapp.files.models import Document
from leadapp.leads.models import Form, IntegrationStatus, Lead, LeadStatus
from leadapp.leads.snippet import html_snippet

STATUS_WORDS = {status: words.text for status, words in showing.LEAD_WORDS.items()}
INTEGRATION_WORDS = {status: words.text for status, words in showing.INTEGRATION_WORDS.items()}
# Types that a browser opens by itself run scripts in our name; only these are named, all are downloads.
PLAIN_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf", "text/plain", "application/zip")
SPAM_FILTER = "flt2_spam_is"
FOLDERS = {"": "Leads", "yes": "Spam", "all": "Everything"}
STUCK = (DeliveryState.FAILED, DeliveryState.PERMANENTLY_FAILED, DeliveryState.UNKNOWN)


def form_options() -> list[tuple[str, str]]:
    return [(str(key), name) for key, name in db.session.execute(select(Form.id, Form.name).order_by(Form.name))]


def _when(_view: Any, _context: Any, row: Lead, _name: str) -> Markup:
    return showing.when(row.received_at)


def _name(_view: Any, _context: Any, row: Lead, _name: str) -> Markup:
    test = Markup(' <span class="tag">test</span>') if row.is_test else Markup("")
    return escape(row.name or "no name") + test


def _status(_view: Any, _context: Any, row: Lead, _name: str) -> Markup:
    return showing.lead_state(row)


def _integration(_view: Any, _context: Any, row: Lead, name: str) -> Markup:
    return showing.badge(showing.integration_words(row, name.removesuffix("_status")))


class LeadView(KeysetView):
    """Every enquiry, newest first."""

    access = guard.READERS
    title = "Leads"
    empty_title = "No leads yet"
    list_template = "admin/leads.html"
    search_hint = "Name, e-mail, phone, words of the message, an id"
    column_list = ("received_at", "name", "email", "form", "status", "email_status", "webhook_status", "crm_status")
    column_labels = {
        "received_at": "Time",
        "email": "E-mail",
        "status": "Where it stands",
        "email_status": "Mail",
        "webhook_status": "Webhook",
        "crm_status": "CRM",
    }
    column_searchable_list = ("name", "email", "phone", "message")
    cursor_columns = (Lead.received_at, Lead.id)
    column_formatters = {
        "received_at": _when,
        "name": _name,
        "status": _status,
        "email_status": _integration,
        "webhook_status": _integration,
        "crm_status": _integration,
    }
    column_filters = (
        Choice(Lead.status, "Where it stands", named(LeadStatus, STATUS_WORDS)),
        NumberChoice(Lead.form_id, "Form", form_options),
        Folder(Lead.is_spam, "Spam"),
        YesNo(Lead.is_test, "Test", "only tests", "without tests"),
        Choice(Lead.email_status, "Mail", named(IntegrationStatus, INTEGRATION_WORDS)),
        Choice(Lead.webhook_status, "Webhook", named(IntegrationStatus, INTEGRATION_WORDS)),
        Choice(Lead.crm_status, "CRM", named(IntegrationStatus, INTEGRATION_WORDS)),
        Since(Lead.received_at, "Received"),
        Until(Lead.received_at, "Received"),
    )
    link_column = 1
    export_columns = (
        ("received_at", "Received (UTC)"),
        ("name", "Name"),
        ("email", "E-mail"),
        ("phone", "Phone"),
        ("message", "Message"),
        ("form", "Form"),
        ("status", "Where it stands"),
        ("email_status", "Mail"),
        ("webhook_status", "Webhook"),
        ("crm_status", "CRM"),
        ("lead_source", "Came through"),
        ("utm_source", "Campaign source"),
        ("utm_medium", "Campaign medium"),
        ("utm_campaign", "Campaign"),
        ("page_url", "Page"),
        ("referrer", "Came from"),
        ("is_spam", "Spam"),
        ("is_test", "Test"),
        ("id", "Lead"),
    )

    # A list of a hundred leads must not fetch a hundred messages, bodies and answers.
    light = load_only(
        Lead.received_at,
        Lead.name,
        Lead.email,
        Lead.form_id,
        Lead.status,
        Lead.is_spam,
        Lead.is_test,
        Lead.duplicate_of_id,
        Lead.email_status,
        Lead.webhook_status,
        Lead.crm_status,
    )

    def get_query(self) -> Any:
        form = joinedload(Lead.form, innerjoin=True).load_only(Form.name)
        options = (form,) if self._is_export() else (self.light, form)
        query = db.session.query(Lead).options(*options)
        # Spam lies in a folder of its own; whoever opens no folder stands before the others.
        return query if self.folder() else query.filter(Lead.is_spam == said(Lead.is_spam, False))

    def rows(self, query: Any, words: str, part: Part) -> list[Any]:
        return finding.page(query, words, part) if words else super().rows(query, words, part)

    def searched(self, query: Any, words: str) -> Any:
        return finding.narrow(query, words)

    def folder(self) -> str:
        """Which of FOLDERS is open."""
        chosen = request.args.get(SPAM_FILTER, "")
        return chosen if chosen in FOLDERS else ""

    def tabs(self) -> list[dict[str, Any]]:
        """The folders; search and the other filters go along."""
        given = request.args.items()
        kept = {key: value for key, value in given if value and (key == "search" or key.startswith("flt"))}
        return [
            {
                "label": label,
                "url": self.get_url(".index_view", **{**kept, SPAM_FILTER: key or None}),
                "is_here": key == self.folder(),
            }
            for key, label in FOLDERS.items()
        ]

    def _is_export(self) -> bool:
        return request.endpoint == "leads.export"

    def link_to(self, row: Lead) -> str:
        return url_for("leads.page", lead_id=row.id)

    def called(self, row: Lead) -> str:
        return row.name or row.email or "a lead without a name"

    def may_export(self) -> bool:
        return guard.may(guard.DESK)

    def export_value(self, row: Lead, name: str) -> object:
        if name in ("email_status", "webhook_status", "crm_status"):
            return showing.integration_words(row, name.removesuffix("_status")).text
        if name == "status":
            return showing.lead_words(row).text
        if name in ("is_spam", "is_test"):
            return "yes" if getattr(row, name) else "no"
        return super().export_value(row, name)

    def first_snippet(self) -> str:
        """The HTML to paste, for a desk that has no leads yet."""
        form = db.session.scalar(select(Form).order_by(Form.id).limit(1))
        return html_snippet(form) if form else ""

    def is_action_allowed(self, name: str) -> bool:
        """What fits the folder: nobody sends spam again, or calls it spam twice."""
        fits = {"yes": ("not-spam",), "": ("again", "recheck", "spam"), "all": ("again", "recheck", "spam", "not-spam")}
        return guard.may(guard.DESK) and name in fits[self.folder() if request.method == "GET" else "all"]

    @action("again", "Send again")
    def act_again(self, ids: list[str]) -> Any:
        """Only what did not arrive: nobody wants the mail of every chosen lead a second time."""
        query = select(Delivery.id).where(Delivery.lead_id.in_(sending.uuids(ids)), Delivery.state.in_(STUCK))
        rows = list(db.session.scalars(query.limit(sending.MOST_ROWS)))
        if rows:
            return sending.answer(self, sending.OPERATIONS["again"], rows)
        flash("Nothing to send again: all of these leads were sent, or are on their way.", "info")
        return None

    @action("recheck", "Check again")
    def act_recheck(self, ids: list[str]) -> Any:
        """Rejected leads, with today's rules."""
        return replay_new.page_of_chosen(What.LEADS, sending.uuids(ids))

    @action("not-spam", "Not spam")
    def act_not_spam(self, ids: list[str]) -> Any:
        return sorting.answer(self, sorting.VERDICTS["not-spam"], sending.uuids(ids))

    @action("spam", "This is spam")
    def act_spam(self, ids: list[str]) -> Any:
        return sorting.answer(self, sorting.VERDICTS["spam"], sending.uuids(ids))

    @expose("/sort/<verb>", methods=("POST",))
    def sort(self, verb: str) -> Any:
        """The button on a lead's page, and what the confirmation page posts to."""
        verdict = sorting.VERDICTS.get(verb) or abort(404)
        return sorting.answer(self, verdict, sending.uuids(request.form.getlist("rowid")))

    @expose("/details/")
    def details_view(self) -> Any:
        key = self.typed_key(request.args.get("id", "")) or abort(404)
        return redirect(url_for("leads.page", lead_id=key))

    @expose("/<uuid:lead_id>")
    def page(self, lead_id: UUID) -> Any:
        lead = db.session.get(Lead, lead_id, options=[joinedload(Lead.form)]) or abort(404)
        return self.render("admin/lead.html", here=request.path, verdict=sorting.offered(lead), **lead_page.of(lead))

    @expose("/<uuid:lead_id>/check", methods=("POST",))
    def check(self, lead_id: UUID) -> Any:
        """Today's rules and mapping for this one."""
        if not guard.may(guard.DESK):
            return guard.refuse()
        lead_rules.check_again(lead_id)
        return redirect(url_for("leads.page", lead_id=lead_id), 303)

    @expose("/<uuid:lead_id>/send-anyway", methods=("POST",))
    def send_anyway(self, lead_id: UUID) -> Any:
        """To the customer's API, which was spared because it knows the person."""
        if not guard.may(guard.SENDERS):
            return guard.refuse()
        lead_rules.send_anyway(lead_id)
        return redirect(url_for("leads.page", lead_id=lead_id), 303)

    @expose("/<uuid:lead_id>/raw")
    def raw(self, lead_id: UUID) -> Any:
        """The body as it came, byte for byte, as a download."""
        body = db.session.scalar(select(Lead.raw_body).where(Lead.id == lead_id))
        return abort(404) if body is None else _download(body, f"lead-{lead_id}.bin", "application/octet-stream")

    @expose("/<uuid:lead_id>/files/<uuid:document_id>")
    def file(self, lead_id: UUID, document_id: UUID) -> Any:
        found = db.session.get(Document, document_id, options=[undefer(Document.content)])
        if found is None or found.lead_id != lead_id:
            abort(404)
        kind = found.content_type if found.content_type in PLAIN_TYPES else "application/octet-stream"
        return _download(found.content, found.name, kind)


def _download(content: bytes, name: str, kind: str) -> Response:
    """A file that no browser opens in our name, whatever it holds."""
    answer = send_file(io.BytesIO(content), mimetype=kind, as_attachment=True, download_name=name)
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return answer
