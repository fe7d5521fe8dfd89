"""The gateway's own shape: one JSON object of names and values, nested or not, or a list of such objects.

Whatever no other sender claims is read so, pairs of a urlencoded body too. A list of {"name", "value"} is one lead.
"""

from typing import Any

from leadapp.errors import PayloadError
from leadapp.leads.senders.shape import Answers, Headers, Incoming, Sender, is_yes


def recognises(_parsed: Any, _headers: Headers) -> bool:
    return True


def leads(parsed: Any) -> list[Incoming]:
    if isinstance(parsed, dict):
        return [_lead(parsed)]
    if not isinstance(parsed, list):
        raise PayloadError(422, "NOT_A_LEAD", "A lead is a JSON object with fields; this is a single value.")
    if not parsed:
        raise PayloadError(422, "EMPTY", "The list holds no lead.")
    if all(_is_pair(one) for one in parsed):
        answers = Answers()
        for one in parsed:
            answers.put(one["name"], one["value"])
        return [_lead(answers)]
    wrong = next((at for at, one in enumerate(parsed) if not isinstance(one, dict)), None)
    if wrong is not None:
        raise PayloadError(422, "NOT_A_LEAD", f"Each lead of a list is an object; number {wrong + 1} is not.")
    return [_lead(one) for one in parsed]


def _is_pair(one: Any) -> bool:
    return isinstance(one, dict) and one.keys() == {"name", "value"} and isinstance(one["name"], str)


def _lead(payload: dict[str, Any]) -> Incoming:
    return Incoming(dict(payload), is_test=is_yes(payload.get("is_test")))


FLAT = Sender("flat", "JSON of your own", recognises, leads)
