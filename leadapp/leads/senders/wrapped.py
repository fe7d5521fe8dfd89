"""Answers in an envelope: `{"data": {...}}`, `{"form": ..., "submission": {...}}` (Basin, Formspree, Framer, Netlify,
Webflow, Zapier, Make). What stands beside them says where they came from.
"""

from typing import Any

from leadapp.leads.field_payload import as_text
from leadapp.leads.senders.shape import Answers, Headers, Incoming, Sender, id_of, is_yes, part

ENVELOPES = ("submission", "data", "payload", "form_data", "formData", "lead", "fields", "answers")
# Beside the answers; anything else up there is an answer itself, and then the whole is read as it is.
BESIDE = frozenset(
    """
    form form_id formid form_name formname form_key form_title form_url site site_id siteid site_url site_name
    id uuid submission_id submissionid submissionid entry_id number type event event_id eventid event_type eventtype
    trigger triggertype created_at createdat submitted_at submittedat timestamp date time received_at keys ip ip_address
    user_agent useragent referrer referer page page_url pageurl url title summary body human_fields
    ordered_human_fields email name first_name last_name company source version test is_test webhook_id hook_id
    project project_id workspace_id account_id schema pageid pagename publishedpath elementid formelementid
    localeid attachments spam status action meta metadata headers token
    """.split()
)
# Netlify repeats some answers beside `data`, Webflow names its form there; the keys in BY_THEM say that it is they.
REPEATED = frozenset({"email", "name", "first_name", "last_name", "company", "title", "summary", "body"})
BY_THEM = ("human_fields", "siteId")
IDS = ("submission_id", "submissionId", "id", "uuid", "event_id", "eventId")


def recognises(parsed: Any, _headers: Headers) -> bool:
    return _opened(parsed) is not None


def leads(parsed: Any) -> list[Incoming]:
    opened = _opened(parsed)
    if opened is None:
        return []
    inside, beside = opened
    answers = Answers()
    answers.put_all(inside)
    beside = {name: value for name, value in beside.items() if name not in ("human_fields", "ordered_human_fields")}
    for name, known in (
        ("page_url", ("page_url", "pageUrl", "url", "site_url")),
        ("referrer", ("referrer", "referer")),
    ):
        found = next((as_text(beside[one]) for one in known if beside.get(one)), "")
        if found and name not in answers:
            answers.put(name, found)
    answers.keep(beside)
    external_id = next((found for name in IDS if (found := id_of(beside.get(name)))), "")
    is_test = any(map(is_yes, (beside.get("is_test", beside.get("test")), inside.get("is_test"))))
    return [Incoming(dict(answers), external_id, is_test)]


def _opened(parsed: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The answers and what stands beside them; None when this is no envelope."""
    if not isinstance(parsed, dict):
        return None
    within = [name for name in ENVELOPES if part(parsed, name)]
    if len(within) != 1:
        return None
    inside, beside = parsed[within[0]], {name: value for name, value in parsed.items() if name != within[0]}
    said = {name.lower() for name, value in beside.items() if value not in (None, "", [], {})}
    if said - BESIDE or (said & REPEATED and not any(name in beside for name in BY_THEM)):
        return None
    deeper = _opened(inside)
    if deeper is None:
        return inside, beside
    return deeper[0], {**beside, **deeper[1]}


WRAPPED = Sender("wrapped", "JSON in an envelope (Basin, Formspree, Framer, Netlify, Webflow)", recognises, leads)
