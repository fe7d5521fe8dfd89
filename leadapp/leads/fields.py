"""Which posted field is which: the e-mail, the name, the phone, the message, attribution, and the other answers.

Pure: no database, no Flask. Names decide first, then values. A honeypot, a token or a field that means something to
Leadapp is never an answer; all of it stays in the raw payload.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from email_validator import EmailNotValidError, validate_email

NAMES: dict[str, frozenset[str]] = {
    "email": frozenset(
        "email emailaddress mail youremail mailaddress from replyto correo correoelectronico courriel "
        "emailadresse mailadresse adresseemail epost indirizzoemail contactemail useremail "
        "senderemail customeremail fromemail visitoremail emailid".split()
    ),
    "name": frozenset(
        "name fullname yourname contactname customername sendername vollstandigername nom nomcomplet "
        "nombre nombrecompleto nome nomecompleto naam imie ansprechpartner username visitorname "
        "fromname".split()
    ),
    "first_name": frozenset(
        "firstname first fname givenname vorname prenom nombredepila voornaam imie forename yourfirstname".split()
    ),
    "last_name": frozenset(
        "lastname last lname familyname surname nachname nomdefamille apellido apellidos cognome "
        "sobrenome achternaam nazwisko secondname yourlastname".split()
    ),
    "phone": frozenset(
        "phone tel telephone phonenumber mobile mobil mobilephone cell cellphone telefon "
        "telefonnummer handy telefono telefone celular yourphone yourtel rufnummer portable "
        "numerodetelephone telefoon gsm whatsapp contactnumber contactphone".split()
    ),
    "message": frozenset(
        "message msg comments comment yourmessage nachricht textarea text enquiry inquiry question "
        "body mensaje messaggio mensagem bericht wiadomosc anfrage mitteilung kommentar bemerkung "
        "howcanwehelp description details notes request".split()
    ),
}
HONEYPOTS = frozenset({"_gotcha", "_honey", "_honeypot", "botcheck", "bot-field"})
CAPTCHAS = frozenset({"g-recaptcha-response", "h-captcha-response", "cf-turnstile-response", "_botpoison"})
REPLY_TO = ("_replyto", "_reply_to", "replyto")
NEXT_PAGE = ("_next", "_redirect", "redirect", "retURL")
SUBJECT = ("_subject", "subject")
PAGE = ("page_url", "source_url", "landing_page", "_page")
TEST_MARKS = ("_test", "_sandbox")
UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
CLICK_IDS = {"gclid": "google ads", "fbclid": "facebook", "msclkid": "microsoft ads"}
SPECIAL = frozenset(
    (
        *(*NEXT_PAGE, *REPLY_TO, *PAGE, *TEST_MARKS, *UTM, *CLICK_IDS, *CAPTCHAS, *HONEYPOTS),
        *("lead_source", "referrer", "gbraid", "wbraid", "access_key", "apikey", "form-name", "from_name"),
        *("ccemail", "webhook", "csrf_token", "csrfmiddlewaretoken", "authenticity_token", "form_build_id"),
    )
)
ADDRESS = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;]+")


@dataclass
class Understood:
    """What a payload says. `answers` holds every other answer, in the order it was posted."""

    email: str = ""
    name: str = ""
    phone: str = ""
    message: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    attribution: dict[str, str] = field(default_factory=dict)
    next_page: str = ""
    spam_reason: str = ""
    is_test: bool = False
    problems: list[dict[str, str]] = field(default_factory=list)


def understand(payload: Mapping[str, Any], honeypot: str = "", page: str = "") -> Understood:
    """Sort a payload's fields. `honeypot` is the form's own; `page` the address that the post came from."""
    found = Understood()
    traps = HONEYPOTS | ({honeypot} if honeypot else frozenset())
    found.spam_reason = next(
        (f"the hidden field {name} was filled in" for name in payload if name in traps and as_text(payload[name])),
        "",
    )
    found.next_page = _first(payload, NEXT_PAGE)
    found.is_test = _first(payload, TEST_MARKS).lower() in {"1", "true", "yes", "on"}
    found.attribution = _attribution(payload, page)
    # A subject is an answer of its own unless the form's author set it with the underscore.
    open_fields = {name: value for name, value in payload.items() if not _is_machinery(name, traps) and as_text(value)}
    used = _find_roles(found, open_fields)
    if not found.email:
        found.email = next((_first(payload, (name,)) for name in REPLY_TO if _first(payload, (name,))), "")
    found.answers = {name: value for name, value in open_fields.items() if name not in used}
    if found.email and not is_address(found.email):
        found.problems.append(
            {"code": "TYPE_EMAIL", "field": "email", "message": "This does not look like an e-mail address."}
        )
    return found


def _is_machinery(name: str, traps: frozenset[str]) -> bool:
    return name.startswith("_") or name in SPECIAL or name in traps or name.lower().startswith("utm_")


def _find_roles(found: Understood, fields: Mapping[str, Any]) -> set[str]:
    """Fill in e-mail, name, phone and message; returns the names of the fields that went into them."""
    by_role = {role: _named(fields, names) for role, names in NAMES.items()}
    if not by_role["email"]:
        by_role["email"] = next((name for name, text in _texts(fields) if _looks_like_address(text.strip())), "")
    used = set()
    for role in ("email", "phone", "message"):
        if by_role[role]:
            setattr(found, role, as_text(fields[by_role[role]]).strip())
            used.add(by_role[role])
    first, last = by_role["first_name"], by_role["last_name"]
    parts = [name for name in (first, by_role["name"] if not last else "", last) if name]
    if not first:
        parts = [name for name in (by_role["name"], last) if name]
    # `name` beside a first name is the surname; a field is never taken twice.
    parts = [name for name in dict.fromkeys(parts) if name not in used]
    found.name = " ".join(as_text(fields[name]).strip() for name in parts)
    return used | set(parts)


def _looks_like_address(text: str) -> bool:
    return len(text) <= 320 and ADDRESS.fullmatch(text) is not None  # the pattern is slow on long texts


def _named(fields: Mapping[str, Any], names: frozenset[str]) -> str:
    return next((name for name in fields if plain_name(name) in names), "")


def plain_name(name: str) -> str:
    """The last part of a bracketed or dotted name, without case, accents and punctuation."""
    last = re.split(r"[.\[]", name.rstrip("]"))[-1] or name
    letters = unicodedata.normalize("NFKD", last.casefold())
    return "".join(letter for letter in letters if letter.isalnum())


def _texts(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    return ((name, as_text(value)) for name, value in fields.items())


def as_text(value: Any) -> str:
    """A value as people read it: lists joined, true and false as yes and no, nested ones as `name: value`."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(filter(None, map(as_text, value)))
    if isinstance(value, dict):
        return ", ".join(f"{name}: {text}" for name, one in value.items() if (text := as_text(one)))
    return str(value)


def is_address(text: str) -> bool:
    """Whether mail could be sent there, by its form alone."""
    try:
        validate_email(text, check_deliverability=False, allow_smtputf8=True, test_environment=True)
    except EmailNotValidError:
        return False
    return True


def _first(payload: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((text for name in names if (text := as_text(payload.get(name)).strip())), "")


def _attribution(payload: Mapping[str, Any], page: str) -> dict[str, str]:
    """Posted values first, then the query of the page that the form stands on."""
    page_url = _first(payload, PAGE) or page
    try:
        query = {name: values[0] for name, values in parse_qs(urlsplit(page_url).query).items()}
    except ValueError:
        query = {}
    found = {name: _first(payload, (name,)) or query.get(name, "") for name in (*UTM, *CLICK_IDS)}
    found["page_url"] = page_url
    found["referrer"] = _first(payload, ("referrer", "_referrer"))
    found["lead_source"] = _source(_first(payload, ("lead_source",)), found)
    return found


def _source(posted: str, found: Mapping[str, str]) -> str:
    """Posted value, else utm_source, else the click id's network, else the referrer's host, else direct."""
    clicked = next((network for name, network in CLICK_IDS.items() if found[name]), "")
    came_from, own = _host(found["referrer"]), _host(found["page_url"])
    return posted or found["utm_source"] or clicked or (came_from if came_from != own else "") or "direct"


def _host(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").removeprefix("www.")
    except ValueError:
        return ""
