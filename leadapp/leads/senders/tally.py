"""Tally (https://tally.so/help/webhooks): answers under their labels, choices as their texts, files as addresses."""

from typing import Any

from leadapp.leads.senders.proofs import as_sent, is_signed_base64
from leadapp.leads.senders.shape import Answers, Headers, Incoming, Sender, id_of, name_of, part, rows

SIGNATURE = "Tally-Signature"
ABOUT = ("responseId", "submissionId", "respondentId", "formId", "formName", "createdAt")


def recognises(parsed: Any, _headers: Headers) -> bool:
    if not isinstance(parsed, dict) or not isinstance(part(parsed, "data").get("fields"), list):
        return False
    return parsed.get("eventType") == "FORM_RESPONSE" or "responseId" in parsed["data"]


def proof(raw: bytes, headers: Headers, _parsed: Any, secret: str) -> bool:
    return is_signed_base64(raw, as_sent(headers, SIGNATURE), secret)


def leads(parsed: Any) -> list[Incoming]:
    data = part(parsed, "data")
    fields = rows(data.get("fields"))
    keys = {str(one.get("key")) for one in fields}
    answers = Answers()
    for one in fields:
        if not _repeats_a_choice(one, keys):
            answers.put(name_of(one.get("label"), one.get("key"), one.get("type")), _value(one))
    answers.keep({"eventId": parsed.get("eventId")} | {name: data.get(name) for name in ABOUT})
    return [Incoming(dict(answers), id_of(data.get("responseId") or data.get("submissionId")))]


def _repeats_a_choice(field: dict[str, Any], keys: set[str]) -> bool:
    """Beside a list of ticked boxes, Tally sends each box once more as a field of its own, true or false."""
    key = field.get("key")
    above = key.rpartition("_")[0] if isinstance(key, str) else ""
    return field.get("type") == "CHECKBOXES" and isinstance(field.get("value"), bool) and above in keys


def _value(field: dict[str, Any]) -> Any:
    value = field.get("value")
    texts = {str(one.get("id")): one.get("text") for one in rows(field.get("options"))}
    lines = {str(one.get("id")): str(one.get("text")) for one in rows(field.get("rows"))}
    texts |= {str(one.get("id")): one.get("text") for one in rows(field.get("columns"))}
    if isinstance(value, dict) and lines:  # a matrix: row -> chosen columns
        return {lines.get(str(row), str(row)): _said(chosen, texts) for row, chosen in value.items()}
    return _said(value, texts)


def _said(value: Any, texts: dict[str, Any]) -> Any:
    """Ids of options as their texts, files as their addresses; one alone is no list."""
    if not isinstance(value, list):
        return texts.get(value, value) if isinstance(value, str) else value
    said = [one["url"] if isinstance(one, dict) and one.get("url") else one for one in value]
    said = [texts.get(one, one) if isinstance(one, str) else one for one in said]
    return said[0] if len(said) == 1 else said


TALLY = Sender("tally", "Tally", recognises, leads, proof)
