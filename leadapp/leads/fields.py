"""Which posted field is which: the e-mail, the name, the phone, the message, attribution, and the other answers.

Pure: no database, no Flask. Names decide first, then values. A honeypot, a token or a field that means something to
Leadapp is never an answer; all of it stays in the raw payload.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

from email_validator import EmailNotValidError, validate_email

from leadapp.leads.field_facts import facts_of
from leadapp.leads.field_finding import Finds, find
from leadapp.leads.field_names import NAMES, plain
from leadapp.leads.field_payload import Leaf, as_text, leaves, unwrap, without
from leadapp.leads.field_values import is_eastern

__all__ = ["CAPTCHAS", "HONEYPOTS", "NAMES", "REPLY_TO", "SPECIAL", "Understood", "as_text", "is_address", "plain_name"]

HONEYPOTS = frozenset({"_gotcha", "_honey", "_honeypot", "botcheck", "bot-field"})
CAPTCHAS = frozenset({"g-recaptcha-response", "h-captcha-response", "cf-turnstile-response", "_botpoison"})
REPLY_TO = ("_replyto", "_reply_to", "replyto")
# Beside one of these, `from_name` says who wrote (EmailJS); elsewhere, what the owner's mail shows as its sender.
VISITORS = {"from_email", "reply_to"}
NEXT_PAGE = ("_next", "_redirect", "redirect", "retURL")
SUBJECT = ("_subject", "subject")
PAGE = ("page_url", "source_url", "landing_page", "_page")
TEST_MARKS = ("_test", "_sandbox")
UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
CLICK_IDS = {"gclid": "google ads", "fbclid": "facebook", "msclkid": "microsoft ads"}
BRAIDS = {"gbraid": "google ads", "wbraid": "google ads"}  # what Google puts in gclid's place on iPhones
KEYS = frozenset({"access_key", "accesskey", "apikey", "api_key", "form-name"})  # the form's own, in any case
SPECIAL = frozenset(
    (
        *(*NEXT_PAGE, *REPLY_TO, *PAGE, *TEST_MARKS, *UTM, *CLICK_IDS, *CAPTCHAS, *HONEYPOTS),
        *("lead_source", "referrer", *BRAIDS, *KEYS, "from_name"),
        *("ccemail", "webhook", "csrf_token", "csrfmiddlewaretoken", "authenticity_token", "form_build_id"),
    )
)
# A trap that is a box to tick: what scripts post for one that nobody ticked (React's forms: `botcheck: false`).
UNTOUCHED = frozenset({"", "no", "false"})
# Honeypots of form services whose names are made up anew for every form, and those of whole families.
TRAPS = re.compile(
    r"b_[0-9a-f]{8,}_[0-9a-f]{4,}|_.*gotcha|(.*[\[_-])?honey[-_]?pot([\]_-].*)?|email_address_check"
    r"|bot[-_]?trap|(wpforms|everest_forms)\[hp\]|.*\[__hp\]|aG9uZXlwb3Q",
    re.IGNORECASE,
)
# One-time tokens and what a page's program adds: of no use to anybody once they were posted.
TOKENS = re.compile(
    r"(.*[\[_-])?(csrf|xsrf|nonce|csrf_?token|form_?token|__requestverificationtoken|trustedproperties)[\]_-]?"
    r"|[0-9a-f]{32}|_?token|utf8|idstamp|captcha_settings|(.*[\[_-])?(captcha|verify_?code)\]?|form_build_id"
    r"|gform_\w+|is_submit_\d+|state_\d+|frm_(action|hide_fields_\d+|submit_entry_\d+|state|verify)|xnqsjsdp|xmiwtld|simple_spc|formservices|wagtailcaptcha"
    r"|mfp_separator\w*|wpforms\[(nonce|token)\].*",
    re.IGNORECASE,
)
SURE = "score 100 of 100"  # of spam; leads.suspicion gives less
TRAP, MACHINERY = "trap", "machinery"
LONGEST = 300  # characters of a name that are looked at
INNER_MACHINERY = re.compile(r"[\[.]_")  # tx_form[__state], contactForm[_token]


@dataclass
class Understood:
    """What a payload says. `answers` holds every other answer, in the order it was posted."""

    email: str = ""
    name: str = ""
    phone: str = ""
    message: str = ""
    name_parts: dict[str, str] = field(default_factory=dict)  # first_name, last_name, where a name came in parts
    answers: dict[str, Any] = field(default_factory=dict)
    attribution: dict[str, str] = field(default_factory=dict)
    next_page: str = ""
    spam_reason: str = ""
    is_test: bool = False
    problems: list[dict[str, str]] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)  # role -> why this field; scores likewise
    scores: dict[str, int] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)  # role -> the field that was taken


def understand(
    payload: Mapping[str, Any], honeypot: str = "", page: str = "", pinned: Mapping[str, str] | None = None
) -> Understood:
    """Sort a payload's fields. `honeypot` is the form's own; `page` the address that the post came from.

    `pinned` says for a role (email, name, first_name, last_name, phone, message) which field the form means.
    """
    payload = unwrap(payload)
    found = Understood()
    fields = list(leaves(payload))
    traps = (one for one in fields if _is_trap(one, honeypot) and one.text.strip().casefold() not in UNTOUCHED)
    found.spam_reason = next((f"the hidden field {one.path[-1]} was filled in; {SURE}" for one in traps), "")
    found.next_page = _first(payload, NEXT_PAGE)
    found.is_test = _first(payload, TEST_MARKS).lower() in {"1", "true", "yes", "on"}
    found.attribution = _attribution(payload, page)
    hidden = {one.path for one in fields if _is_machinery(one, honeypot)}
    fields = [one for one in fields if one.path not in hidden]
    finds = find(fields, pinned or {})
    _fill_in(found, finds)
    if not found.email:
        ways = (name for name in REPLY_TO if name != honeypot.casefold())
        name = next((name for name in ways if _first(payload, (name,))), "")
        if name:
            found.email, found.places["email"] = _first(payload, (name,)), name
            found.reasons["email"] = "it is the address to reply to"
    if not found.name and payload.keys() & VISITORS and (name := _first(payload, ("from_name",))):
        found.name, found.places["name"] = name, "from_name"
        found.reasons["name"] = "it is who the message is from"
    gone = finds.used | hidden | {one.path for one in fields if _repeats(one, found.email)}
    found.answers = _answers(payload, gone)
    if found.email and not is_address(found.email):
        found.problems.append(
            {"code": "TYPE_EMAIL", "field": "email", "message": "This does not look like an e-mail address."}
        )
    return found


def answer_names(payload: Mapping[str, Any], honeypot: str = "") -> list[str]:
    """The fields that a person may have filled in, nested ones with dots."""
    return [".".join(one.path) for one in leaves(unwrap(payload)) if not _is_machinery(one, honeypot)]


def _answers(payload: Mapping[str, Any], gone: set[tuple[str, ...]]) -> dict[str, Any]:
    """What went into no role; a subject is an answer unless the form's author set it with the underscore."""
    left = {name: without(value, (name,), gone) for name, value in payload.items()}
    return {name: value for name, value in left.items() if as_text(value)}


def _fill_in(found: Understood, finds: Finds) -> None:
    """E-mail, name, phone and message from what was found; a name may come in parts."""
    for role in ("email", "phone", "message"):
        setattr(found, role, finds.texts.get(role, ""))
    first, last = finds.texts.get("first_name", ""), finds.texts.get("last_name", "")
    whole = finds.texts.get("name", "")
    parts = [first, last or whole] if first else [whole, last]
    if all(parts) and all(map(is_eastern, parts)):
        parts.reverse()  # the family's name comes first
    found.name = " ".join(filter(None, parts))
    found.reasons, found.scores = dict(finds.reasons), dict(finds.scores)
    halves = [role for role in ("first_name", "last_name") if role in finds.texts]
    found.name_parts = {role: finds.texts[role] for role in halves}
    found.places = {role: ".".join(path) for role, path in finds.paths.items()}
    if found.name and "name" not in found.reasons:
        found.reasons["name"] = "; ".join(finds.reasons[role] for role in halves)
        found.scores["name"] = min(finds.scores[role] for role in halves)
        found.places["name"] = " and ".join(found.places[role] for role in halves)


def _is_trap(leaf: Leaf, honeypot: str) -> bool:
    own = honeypot.casefold()
    is_own = own != "" and own in (leaf.path[-1].casefold(), ".".join(leaf.path).casefold())
    return is_own or _means_nothing(leaf.path) == TRAP


def _is_machinery(leaf: Leaf, honeypot: str) -> bool:
    return _is_trap(leaf, honeypot) or _means_nothing(leaf.path) != ""


def _means_nothing(path: tuple[str, ...]) -> str:
    """Why a field is no answer by its name alone: "" when it is one. Kept for names of usual length."""
    return _kept_kind(path) if sum(map(len, path)) <= LONGEST else _kind_of(tuple(key[:LONGEST] for key in path))


def _kind_of(path: tuple[str, ...]) -> str:
    name, top = path[-1], path[0]
    if {name.lower(), ".".join(path).lower()} & HONEYPOTS or _is_like(TRAPS, name):
        return TRAP
    if any(key.startswith("_") for key in path) or top in SPECIAL or top.lower() in KEYS:
        return MACHINERY
    if top.lower().startswith("utm_"):
        return MACHINERY
    return MACHINERY if _is_like(TOKENS, name) or INNER_MACHINERY.search(top) else ""


_kept_kind = lru_cache(maxsize=4096)(_kind_of)


def _is_like(pattern: re.Pattern[str], name: str) -> bool:
    return len(name) <= 100 and pattern.fullmatch(name) is not None


def _repeats(leaf: Leaf, email: str) -> bool:
    """The address typed a second time, to be sure: no answer of its own."""
    return facts_of(leaf.path).is_confirm and leaf.text.strip().casefold() == email.casefold() != ""


def plain_name(name: str) -> str:
    """The last part of a bracketed or dotted name, without case, accents and punctuation."""
    return plain(re.split(r"[.\[]", name.rstrip("]"))[-1] or name)


def is_address(text: str) -> bool:
    """Whether mail could be sent there, by its form alone."""
    return len(text) <= 1_000 and _is_valid(text)  # a judge of 1 MB would take its time


@lru_cache(maxsize=64)  # one post asks more than once
def _is_valid(text: str) -> bool:
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
    braid = next((network for name, network in BRAIDS.items() if _first(payload, (name,)) or name in query), "")
    found["page_url"] = page_url
    found["referrer"] = _first(payload, ("referrer", "_referrer"))
    found["lead_source"] = _source(_first(payload, ("lead_source",)), found, braid)
    return found


def _source(posted: str, found: Mapping[str, str], braid: str) -> str:
    """Posted value, else utm_source, else the click id's network, else the referrer's host, else direct."""
    clicked = next((network for name, network in CLICK_IDS.items() if found[name]), braid)
    came_from, own = (host_of(found[name]).removeprefix("www.") for name in ("referrer", "page_url"))
    return posted or found["utm_source"] or clicked or (came_from if came_from != own else "") or "direct"


def host_of(address: str) -> str:
    """The host of an address that a stranger posted; "" when it is none."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
