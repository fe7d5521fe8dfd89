"""Turn a post into a Lead: the pure pipeline inside a guard, so that a bug in it never costs the lead."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from leadapp.columns import new_id
from leadapp.files.uploads import Upload
from leadapp.leads.charsets import clean
from leadapp.leads.fields import Understood, as_text, understand
from leadapp.leads.models import Form, Lead, LeadStatus

logger = logging.getLogger(__name__)

FIRST_RECHECK = timedelta(minutes=1)
ATTRIBUTES = (
    "lead_source utm_source utm_medium utm_campaign utm_term utm_content gclid fbclid msclkid page_url referrer"
).split()


@dataclass
class Posted:
    """One post as it was read. `headers` are those on the allow-list, `page` is where it came from."""

    payload: dict[str, Any]
    raw: bytes = b""
    content_type: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    uploads: Sequence[Upload] = ()
    problems: list[dict[str, str]] = field(default_factory=list)
    page: str = ""
    correlation_id: str = ""
    idempotency_key: str = ""


def read(form: Form, posted: Posted, moment: datetime) -> tuple[Lead, str]:
    """The lead of this post, not yet in the session, and the page that it asked for next."""
    lead = Lead(
        id=new_id(),
        form_id=form.id,
        form=form,
        form_type=form.form_type,
        correlation_id=posted.correlation_id or str(new_id()),
        received_at=moment,
        status=LeadStatus.READY,
        raw_body=posted.raw,
        content_type=posted.content_type[:255],
        raw_payload=json.dumps(posted.payload, ensure_ascii=False),
        headers=posted.headers,
        problems=list(posted.problems),
        check_count=0,
        fields={},
    )
    understood = interpret(lead, form, posted.payload, posted.page)
    if understood is None:
        lead.status = LeadStatus.RECEIVED
        lead.check_at = moment + FIRST_RECHECK
        return lead, ""
    return lead, understood.next_page


def interpret(lead: Lead, form: Form, payload: dict[str, Any], page: str) -> Understood | None:
    """Fill in what the payload says; None, with the problem noted, when the pipeline broke."""
    try:
        understood = understand(payload, form.honeypot, page)
    except Exception as error:
        logger.exception("the pipeline broke", extra={"lead_id": str(lead.id)})
        problem = {
            "code": "PIPELINE",
            "field": "",
            "message": f"The fields could not be read: {type(error).__name__}.",
        }
        lead.problems = [*lead.problems, problem]
        _keep_as_answers(lead, payload)
        return None
    _fill_in(lead, understood)
    return understood


def _fill_in(lead: Lead, understood: Understood) -> None:
    lead.email, lead.name = clean(understood.email)[:320], clean(understood.name)
    lead.phone, lead.message = clean(understood.phone), clean(understood.message)
    lead.fields = dict(understood.answers)
    if len(understood.email) > 320:
        lead.fields["email"] = understood.email  # the column is indexed and short; nothing is cut away unseen
    for name in ATTRIBUTES:
        setattr(lead, name, clean(understood.attribution[name]))  # what a query hides behind %00 is text too
    lead.is_spam, lead.spam_reason = bool(understood.spam_reason), clean(understood.spam_reason)[:200]
    lead.is_test = understood.is_test
    lead.problems = [*lead.problems, *understood.problems]


def _keep_as_answers(lead: Lead, payload: dict[str, Any]) -> None:
    """Unsorted is better than unseen: the owner's mail shows every field as it came."""
    lead.fields = {name: as_text(value) for name, value in payload.items() if not name.startswith("_")}
    lead.name = lead.email = lead.phone = lead.message = ""
    lead.lead_source = "direct"
    for name in ATTRIBUTES[1:]:
        setattr(lead, name, "")
    lead.is_spam = lead.is_test = False
