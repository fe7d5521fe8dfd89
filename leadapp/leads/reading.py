"""Turn a post into a Lead; leads.judging says what its fields mean and what the form's rules make of it."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from leadapp.columns import new_id
from leadapp.config import settings
from leadapp.files.uploads import Upload
from leadapp.leads.charsets import clean
from leadapp.leads.duplicates import person_hash
from leadapp.leads.fields import Understood
from leadapp.leads.judging import BROKEN, BY_RULES, Verdict, judge
from leadapp.leads.models import Form, Lead, LeadStatus
from leadapp.leads.rulesets import ruling_of
from leadapp.leads.suspicion import suspicion

logger = logging.getLogger(__name__)

FIRST_RECHECK = timedelta(minutes=1)
ATTRIBUTES = (
    "lead_source utm_source utm_medium utm_campaign utm_term utm_content gclid fbclid msclkid page_url referrer"
).split()


@dataclass
class Posted:
    """One post as it was read. `headers` are those on the allow-list, `page` is where it came from.

    `sender` and `external_id`: whose payload it is (leads.senders) and its id there; `is_test`: the sender says so.
    """

    payload: dict[str, Any]
    raw: bytes = b""
    content_type: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    uploads: Sequence[Upload] = ()
    problems: list[dict[str, str]] = field(default_factory=list)
    page: str = ""
    correlation_id: str = ""
    idempotency_key: str = ""
    sender: str = ""
    external_id: str = ""
    is_test: bool = False


def read(form: Form, posted: Posted) -> tuple[Lead, str]:
    """The lead of this post, not yet in the session and without its time, and the page that it asked for next."""
    lead = Lead(
        id=new_id(),
        form_id=form.id,
        form=form,
        form_type=form.form_type,
        correlation_id=posted.correlation_id or str(new_id()),
        status=LeadStatus.READY,
        raw_body=posted.raw,
        content_type=posted.content_type[:255],
        raw_payload=json.dumps(posted.payload, ensure_ascii=False),
        headers=posted.headers,
        sender=posted.sender[:30],
        external_id=posted.external_id[:200],
        problems=list(posted.problems),
        check_count=0,
        fields={},
    )
    understood = interpret(lead, form, posted.payload, posted.page)
    lead.is_test = lead.is_test or posted.is_test
    if not lead.is_spam and not posted.sender and (why := suspicion(form.key, posted.payload, settings())):
        lead.is_spam, lead.spam_reason = True, why[:200]
    return lead, understood.next_page if understood else ""


def came_in(lead: Lead, moment: datetime) -> None:
    """When it did, by the database's clock; what broke is tried again from then on."""
    lead.received_at = moment
    if lead.status is LeadStatus.RECEIVED:
        lead.check_at = moment + FIRST_RECHECK


def interpret(lead: Lead, form: Form, payload: dict[str, Any], page: str) -> Understood | None:
    """Fill in what the payload says and what the form's rules make of it.

    The status is READY, REJECTED, or RECEIVED, with the problem noted, when the pipeline broke.
    """
    verdict = judge(form, payload, page, ruling_of(form))
    if verdict.fault is not None:
        logger.error("the pipeline broke", exc_info=verdict.fault, extra={"lead_id": str(lead.id)})
    apply(lead, verdict)
    return verdict.understood


def apply(lead: Lead, verdict: Verdict) -> None:
    """Write a verdict onto a lead; what an earlier one noted is replaced."""
    noted = [one for one in lead.problems if one["code"] != BROKEN and not one.items() >= BY_RULES.items()]
    found = verdict.understood.problems if verdict.understood else []
    lead.problems = [*noted, *(one for one in found if one not in noted), *verdict.problems]
    is_fresh = lead.is_spam is None or lead.status is LeadStatus.RECEIVED
    lead.status, lead.rules_version = verdict.status, verdict.version
    lead.customer_body = verdict.body
    lead.fields = dict(verdict.answers)
    lead.person_hash = person_hash(lead.form, verdict.tree)
    if verdict.understood is not None:
        _fill_in(lead, verdict.understood)
        if is_fresh:  # later on a person may have said otherwise
            _mark(lead, verdict.understood)
    elif lead.lead_source is None:
        _leave_empty(lead)


def _fill_in(lead: Lead, understood: Understood) -> None:
    lead.email, lead.name = clean(understood.email)[:320], clean(understood.name)
    lead.phone, lead.message = clean(understood.phone), clean(understood.message)
    if len(understood.email) > 320:
        lead.fields["email"] = understood.email  # the column is indexed and short; nothing is cut away unseen
    for name in ATTRIBUTES:
        setattr(lead, name, clean(understood.attribution[name]))  # what a query hides behind %00 is text too


def _mark(lead: Lead, understood: Understood) -> None:
    lead.is_spam, lead.spam_reason = bool(understood.spam_reason), clean(understood.spam_reason)[:200]
    lead.is_test = bool(lead.is_test) or understood.is_test


def _leave_empty(lead: Lead) -> None:
    """Unsorted is better than unseen: every field is an answer, shown as it came."""
    lead.name = lead.email = lead.phone = lead.message = ""
    lead.lead_source = "direct"
    for name in ATTRIBUTES[1:]:
        setattr(lead, name, "")
    lead.is_spam = lead.is_test = False
