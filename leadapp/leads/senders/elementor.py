"""Elementor Pro's webhook: urlencoded `fields[<id>][title]`, `fields[<id>][value]`.

Without "Advanced Data" it sends plain names, and about the form in plain English ones.
"""

import re
from typing import Any

from leadapp.leads.senders.shape import Answers, Headers, Incoming, Sender, name_of, part

FIELD = re.compile(r"(fields|meta|form)\[([^\[\]]+)\](?:\[([^\[\]]+)\])?")
PLAIN_BESIDE = ("Date", "Time", "User Agent", "Remote IP", "Powered by", "form_id", "form_name")
PARTS = frozenset({"id", "type", "title", "value", "raw_value", "required"})


def recognises(parsed: Any, _headers: Headers) -> bool:
    if _is_plain(parsed):
        return True
    tree = _tree(parsed)
    return any(isinstance(one, dict) and one.keys() & {"value", "raw_value"} for one in part(tree, "fields").values())


def _is_plain(parsed: Any) -> bool:
    return isinstance(parsed, dict) and "form_id" in parsed and parsed.get("Powered by") == "Elementor"


def leads(parsed: Any) -> list[Incoming]:
    answers = Answers()
    if _is_plain(parsed):
        answers.put_all({name: value for name, value in parsed.items() if name not in (*PLAIN_BESIDE, "Page URL")})
        answers.put("page_url", parsed.get("Page URL"))
        answers.keep({name: parsed.get(name) for name in PLAIN_BESIDE})
        return [Incoming(dict(answers))]
    tree = _tree(parsed)
    for key, one in part(tree, "fields").items():
        if not isinstance(one, dict):
            answers.put(key, one)
            continue
        value, as_typed = one.get("value"), one.get("raw_value")
        answers.put(name_of(one.get("title"), one.get("id") or key, one.get("type")), value or as_typed)
        answers.put_all({name: more for name, more in one.items() if name not in PARTS})
    meta = {name: one.get("value") if isinstance(one, dict) else one for name, one in part(tree, "meta").items()}
    answers.put("page_url", meta.pop("page_url", None))
    answers.put_all({name: one for name, one in tree.items() if name not in ("fields", "meta", "form")})
    answers.keep({"form": tree.get("form"), **meta})
    return [Incoming(dict(answers))]


def _tree(parsed: Any) -> dict[str, Any]:
    """fields, meta and form as objects, whether they came as JSON or as bracketed names."""
    tree: dict[str, Any] = {}
    for name, value in parsed.items() if isinstance(parsed, dict) else ():
        found = FIELD.fullmatch(name)
        if not found:
            tree[name] = value
            continue
        group = tree.setdefault(found[1], {})
        if not isinstance(group, dict):
            tree[name] = value
        elif found[3] is None:
            group[found[2]] = value
        elif isinstance(below := group.setdefault(found[2], {}), dict):
            below[found[3]] = value
        else:
            tree[name] = value
    return tree


ELEMENTOR = Sender("elementor", "Elementor Pro", recognises, leads)
