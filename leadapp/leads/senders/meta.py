"""Meta lead ads (https://developers.facebook.com/docs/graph-api/webhooks/getting-started): pings without answers.

The page's token is needed to fetch the answers of a `leadgen_id`; until then the lead holds the ids and says so.
"""

from typing import Any

from leadapp.leads.senders.proofs import as_sent, is_signed_hex
from leadapp.leads.senders.shape import Answers, Headers, Incoming, Sender, id_of, part, rows

SIGNATURE = "X-Hub-Signature-256"
NOT_FETCHED = {
    "code": "ANSWERS_NOT_FETCHED",
    "field": "leadgen_id",
    "message": "Meta sends the answers of this lead separately; they are fetched later.",
}


def recognises(parsed: Any, _headers: Headers) -> bool:
    if not isinstance(parsed, dict) or parsed.get("object") not in ("page", "instagram"):
        return False
    return isinstance(parsed.get("entry"), list)


def proof(raw: bytes, headers: Headers, _parsed: Any, secret: str) -> bool:
    return is_signed_hex(raw, as_sent(headers, SIGNATURE), secret)


def leads(parsed: Any) -> list[Incoming]:
    """One for each `leadgen` change; other changes of the page are none of ours."""
    changes = [change for entry in rows(parsed.get("entry")) for change in rows(entry.get("changes"))]
    return [_lead(part(change, "value")) for change in changes if change.get("field") == "leadgen"]


def _lead(value: dict[str, Any]) -> Incoming:
    answers = Answers()
    for one in rows(value.get("field_data")):  # not in a ping; go-betweens send it along
        answers.put(str(one.get("name", "")), one.get("values"))
    problems = [] if answers else [NOT_FETCHED]
    answers.put_all({name: one for name, one in value.items() if name != "field_data"})
    answers.put("lead_source", "facebook")
    return Incoming(dict(answers), id_of(value.get("leadgen_id")), problems=problems)


META = Sender("meta", "Meta (Facebook, Instagram) lead ads", recognises, leads, proof, most_leads=1_000)
