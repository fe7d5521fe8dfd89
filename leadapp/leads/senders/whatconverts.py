"""WhatConverts (https://www.whatconverts.com/help/docs/): calls, forms and chats, with the visitor's own answers."""

from typing import Any

from leadapp.leads.senders.shape import Answers, Headers, Incoming, Sender, id_of, part

# Theirs -> the name that Leadapp finds
NAMES = {
    "contact_name": "name",
    "contact_email_address": "email",
    "contact_phone_number": "phone",
    "contact_company_name": "company",
    "lead_source": "utm_source",
    "lead_medium": "utm_medium",
    "lead_campaign": "utm_campaign",
    "lead_content": "utm_content",
    "lead_keyword": "utm_term",
    "lead_url": "page_url",
    "referring_url": "referrer",
    "gclid": "gclid",
    "msclkid": "msclkid",
}
# Kept beside the answers: who measured it and how
ABOUT = frozenset(
    """
    trigger lead_id user_id lead_type lead_status lead_state lead_analysis last_updated date_created quotable
    quote_value sales_value lead_score profile profile_id account account_id operating_system browser device_type
    device_make ip_address spotted_keywords landing_url recording recording_sid play_recording call_sid
    """.split()
)


def recognises(parsed: Any, _headers: Headers) -> bool:
    if not isinstance(parsed, dict) or "lead_id" not in parsed:
        return False
    return "additional_fields" in parsed or bool({"contact_name", "contact_email_address"} & parsed.keys())


def leads(parsed: Any) -> list[Incoming]:
    """What the visitor typed goes before what WhatConverts made of it, where both say the same."""
    answers = Answers()
    answers.put_all({NAMES[name]: parsed[name] for name in NAMES if name in parsed})
    more = {**part(parsed, "additional_fields")}
    if more != parsed.get("additional_fields", {}):
        more["additional_fields"] = parsed["additional_fields"]  # a list or a text: kept as it is
    others = {name: value for name, value in parsed.items() if name not in NAMES and name not in ABOUT}
    for name, value in {**{key: one for key, one in others.items() if key != "additional_fields"}, **more}.items():
        if value not in (answers.get(name), *_said(answers)):
            answers.put(name, value)
    answers.keep({name: parsed[name] for name in parsed if name in ABOUT})
    return [Incoming(dict(answers), id_of(parsed.get("lead_id")))]


def _said(answers: Answers) -> list[Any]:
    """The contact's data, which WhatConverts repeats under other names."""
    return [answers[name] for name in ("name", "email", "phone") if name in answers]


WHATCONVERTS = Sender("whatconverts", "WhatConverts", recognises, leads)
