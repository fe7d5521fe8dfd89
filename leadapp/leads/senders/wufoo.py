"""Wufoo (https://wufoo.github.io/docs/#webhooks): urlencoded Field1..n, with the form's structure beside them."""

import re
from typing import Any

from leadapp.errors import PayloadError
from leadapp.leads.field_payload import as_text
from leadapp.leads.json_bodies import within
from leadapp.leads.senders.proofs import is_same
from leadapp.leads.senders.shape import Answers, Headers, Incoming, Sender, id_of, name_of, rows

KEY = "HandshakeKey"
FIELD = re.compile(r"Field\d+")
KINDS = {"email": "email", "phone": "phone"}
NAME_KINDS = ("name", "shortname")


def recognises(parsed: Any, _headers: Headers) -> bool:
    if not isinstance(parsed, dict) or not any(FIELD.fullmatch(name) for name in parsed):
        return False
    return bool({"FieldStructure", "FormStructure", KEY, "EntryId"} & parsed.keys())


def proof(_raw: bytes, _headers: Headers, parsed: Any, secret: str) -> bool:
    return isinstance(parsed, dict) and is_same(parsed.get(KEY), secret)


def leads(parsed: Any) -> list[Incoming]:
    names = _names(parsed.get("FieldStructure"))
    answers = Answers()
    about: dict[str, Any] = {}
    for name, value in parsed.items():
        if FIELD.fullmatch(name):
            answers.put(names.get(name, name), value)
        elif name not in (KEY, "FieldStructure", "FormStructure"):
            about[name] = value
    answers.keep(about)
    return [Incoming(dict(answers), id_of(parsed.get("EntryId")))]


def _names(structure: Any) -> dict[str, str]:
    """What each field is called; a part of a name or an address after its own label."""
    names: dict[str, str] = {}
    for one in rows(_loaded(structure).get("Fields")):
        title, kind = as_text(one.get("Title")), as_text(one.get("Type"))
        names[as_text(one.get("ID"))] = name_of(title, "", KINDS.get(kind, ""))
        for below in rows(one.get("SubFields")):
            names[as_text(below.get("ID"))] = _name_of_part(title, kind, as_text(below.get("Label")))
    return names


def _name_of_part(title: str, kind: str, label: str) -> str:
    if kind in NAME_KINDS and label:
        return f"{label} name"
    return label if kind == "address" and label else title or label


def _loaded(text: Any) -> dict[str, Any]:
    """The structure is JSON inside a field; without it, fields keep their numbers."""
    try:
        found = within(text) if isinstance(text, str) else text
    except PayloadError:
        return {}
    return found if isinstance(found, dict) else {}


WUFOO = Sender("wufoo", "Wufoo", recognises, leads, proof)
