"""Typeform (https://www.typeform.com/developers/webhooks/example-payload/): answers under their questions."""

from collections.abc import Iterator
from typing import Any

from leadapp.leads.field_payload import as_text
from leadapp.leads.senders.proofs import as_sent, is_signed_base64
from leadapp.leads.senders.shape import Answers, Headers, Incoming, Sender, id_of, name_of, part, rows

SIGNATURE = "Typeform-Signature"
ABOUT = (
    "form_id",
    "token",
    "response_url",
    "landed_at",
    "submitted_at",
    "calculated",
    "variables",
    "outcome",
    "ending",
)


def recognises(parsed: Any, _headers: Headers) -> bool:
    return isinstance(parsed, dict) and isinstance(parsed.get("form_response"), dict)


def proof(raw: bytes, headers: Headers, _parsed: Any, secret: str) -> bool:
    return is_signed_base64(raw, as_sent(headers, SIGNATURE), secret, "sha256=")


def leads(parsed: Any) -> list[Incoming]:
    response = part(parsed, "form_response")
    titles = dict(_titles(part(response, "definition")))
    answers = Answers()
    for one in rows(response.get("answers")):
        asked = part(one, "field")
        title = titles.get(str(asked.get("id")), "")
        answers.put(name_of(title, asked.get("ref"), asked.get("type") or one.get("type")), _value(one))
    answers.put_all(part(response, "hidden"))
    answers.keep({name: response.get(name) for name in ABOUT})
    return [Incoming(dict(answers), id_of(response.get("token") or parsed.get("event_id")))]


def _titles(definition: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The id and title of every question, those of groups too."""
    for one in rows(definition.get("fields")):
        if isinstance(one.get("title"), str):
            yield str(one.get("id")), one["title"]
        yield from _titles(one)
        yield from _titles(part(one, "properties"))


def _value(answer: dict[str, Any]) -> Any:
    """What was answered, choices as their labels; an unknown type keeps all it has."""
    value = answer.get(str(answer.get("type")))
    if value is None:
        return {name: one for name, one in answer.items() if name not in ("field", "type")} or None
    if not isinstance(value, dict):
        return value
    labels = value.get("labels", value.get("label"))
    said = [*(labels if isinstance(labels, list) else [labels]), value.get("other")]
    said = [one for one in said if one not in (None, "")]
    if not said:
        # A payment: as a list of texts, so that its card's `name` does not become the person's.
        return [f"{name}: {as_text(one)}" for name, one in value.items()]
    return said if "labels" in value or len(said) > 1 else said[0]


TYPEFORM = Sender("typeform", "Typeform", recognises, leads, proof)
