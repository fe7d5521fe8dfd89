"""What a sender is and what it brings: the two types, and the names under which answers are found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from werkzeug.datastructures import Headers as WsgiHeaders

from leadapp.leads.field_facts import facts_of
from leadapp.leads.field_names import NAMES, plain
from leadapp.leads.field_payload import as_text
from leadapp.leads.fields import SPECIAL

Headers = Mapping[str, str] | WsgiHeaders
BESIDE = "_sender"  # where what is no answer is kept; it does not make two posts different
MOST_LEADS = 100  # in one body
YES = frozenset({"1", "true", "yes", "on"})
# What a form builder says a question asks for; its title may be any words.
ROLE_OF_TYPE = {
    "email": "email",
    "phone_number": "phone",
    "tel": "phone",
    "input_email": "email",
    "input_phone_number": "phone",
    "input_phone": "phone",
    "phone": "phone",
}
# Questions for the name that do not say so; other questions are found by their words.
ASKS_NAME = frozenset(
    map(
        plain,
        (
            *("Wie heißen Sie?", "Wie heißt du?", "Wer sind Sie?", "Wer bist du?", "Who are you?", "Qui êtes-vous ?"),
            *("Comment vous appelez-vous ?", "Comment tu t'appelles ?", "¿Cómo te llamas?", "¿Cómo se llama usted?"),
            *(
                "Come ti chiami?",
                "Come si chiama?",
                "Como se chama?",
                "Hoe heet je?",
                "Hoe heet u?",
                "Jak się nazywasz?",
            ),
            *("Hvad hedder du?", "Vad heter du?", "Hva heter du?", "Как вас зовут?", "Як вас звати?"),
        ),
    )
)


@dataclass(frozen=True)
class Incoming:
    """One lead of a body: names and values as leads.fields.understand() reads them, and the sender's own id."""

    payload: dict[str, Any]
    external_id: str = ""
    is_test: bool = False
    problems: list[dict[str, str]] = field(default_factory=list)


def unproven(_raw: bytes, _headers: Headers, _parsed: Any, _secret: str) -> bool:
    """The proof of senders that sign nothing: only X-Shared-Secret and its like prove them."""
    return False


@dataclass(frozen=True)
class Sender:
    """One shape of payload.

    `recognises` looks at the shape alone; `leads` reads what it recognised, and returns nothing for a body that
    holds no lead; `proof` is the sender's own way to show that it knows the form's secret.
    """

    name: str
    label: str
    recognises: Callable[[Any, Headers], bool]
    leads: Callable[[Any], list[Incoming]]
    proof: Callable[[bytes, Headers, Any, str], bool] = unproven
    most_leads: int = MOST_LEADS


class Answers(dict[str, Any]):
    """Names and values in the order they came; a name that comes twice collects a list. Nothing is left out but ""."""

    def put(self, name: str, value: Any) -> None:
        name = name.strip() or "field"
        if value is None or value in ("", []):
            return
        if name not in self:
            self[name] = value
            return
        earlier = self[name]
        more = value if isinstance(value, list) else [value]
        self[name] = [*(earlier if isinstance(earlier, list) else [earlier]), *more]

    def put_all(self, values: Any) -> None:
        """Another object's names and values; what is no object is kept under `value`."""
        for name, value in values.items() if isinstance(values, dict) else [("value", values)]:
            self.put(str(name), value)

    def keep(self, values: Mapping[str, Any]) -> None:
        """What the sender says beside the answers: kept, for rules and mappings too, and shown as no answer."""
        self.put(BESIDE, {name: value for name, value in values.items() if value not in (None, "", [], {})} or None)


def name_of(title: Any, key: Any = "", kind: Any = "") -> str:
    """The name of an answer: its key where that means something to us, else the question as people read it.

    A question of the kind e-mail or phone whose words do not say so is called after its kind.
    """
    words, id_ = _text(title), _text(key)
    if id_ in SPECIAL or any(plain(id_) in names for names in NAMES.values()):
        return id_
    if plain(words) in ASKS_NAME:
        return "name"
    role = ROLE_OF_TYPE.get(_text(kind).lower(), "")
    if role and role not in facts_of((words or "field",)).scores:
        return role
    return words or id_


def _text(value: Any) -> str:
    return as_text(value).strip()


def id_of(value: Any) -> str:
    """A sender's id as text, digit by digit; "" when it is none."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value).strip() if is_number or isinstance(value, str) else ""


def is_yes(value: Any) -> bool:
    return as_text(value).strip().lower() in YES


def part(value: Any, *keys: str) -> dict[str, Any]:
    """The object below these keys, {} when there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def rows(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; anything else is none."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
