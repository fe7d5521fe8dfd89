"""HubSpot's form submissions (https://developers.hubspot.com/docs/api/marketing/forms): a list of names and values."""

from typing import Any

from leadapp.leads.senders.shape import Answers, Headers, Incoming, Sender, part, rows

BESIDE = frozenset({"submittedAt", "context", "legalConsentOptions", "skipValidation", "formId", "portalId", "pageUrl"})


def recognises(parsed: Any, _headers: Headers) -> bool:
    """A list of fields, and beside it nothing but what HubSpot sends."""
    if not isinstance(parsed, dict) or not parsed.get("fields") or not isinstance(parsed["fields"], list):
        return False
    if not all(
        isinstance(one, dict) and isinstance(one.get("name"), str) and "value" in one for one in parsed["fields"]
    ):
        return False
    is_typed = any("objectTypeId" in one for one in parsed["fields"])
    return parsed.keys() - {"fields"} <= BESIDE and (is_typed or bool(parsed.keys() & BESIDE))


def leads(parsed: Any) -> list[Incoming]:
    answers = Answers()
    for one in rows(parsed.get("fields")):
        answers.put(str(one.get("name", "")), one.get("value"))
    context = part(parsed, "context")
    answers.put("page_url", context.get("pageUri") or context.get("pageUrl") or parsed.get("pageUrl"))
    answers.keep({name: value for name, value in parsed.items() if name != "fields"})
    return [Incoming(dict(answers))]


HUBSPOT = Sender("hubspot", "HubSpot forms", recognises, leads)
