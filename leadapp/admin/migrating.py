"""Read a pasted form without ever showing it as HTML: which fields will be found, what is obeyed, what changes. Pure.

Each field is given a sample of what a person would type into it; then `leads.fields.understand` reads the samples,
exactly as it will read a post.
"""

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser

from leadapp.leads.fields import BRAIDS, CLICK_IDS, HONEYPOTS, UTM, Understood, understand
from leadapp.leads.redirects import next_page, origin_of

LONGEST = 200_000
MOST_FIELDS = 200
NOT_POSTED = ("submit", "button", "image", "reset")
ROLES = ("name", "email", "phone", "message")
FIRST = "Ada Grace Emmy Rosalind Katherine Dorothy Marie Lise Hedy Barbara".split()
LAST = "Lovelace Hopper Noether Franklin Johnson Hodgkin Curie Meitner Lamarr Liskov".split()
# What a label, a placeholder or a name says about the sample; the first that fits counts.
HINTS = (
    ("email", re.compile(r"e-?mail|courriel|correo|@", re.I)),
    ("tel", re.compile(r"phone|tel\b|telefon|mobil|handy|t[ée]l[ée]", re.I)),
    ("textarea", re.compile(r"message|nachricht|mensaje|messaggio|comment|anfrage|question", re.I)),
    ("name", re.compile(r"name|nom\b|nombre|imi[eę]", re.I)),
)
HONEYPOT = "Obeyed: a trap. Whoever fills it in is kept as spam."
# Names with a meaning: whether they are obeyed, and what that means (form-contract.md).
SPECIAL = {
    **dict.fromkeys(("_gotcha", "_honey", "_honeypot", "botcheck", "bot-field"), (True, HONEYPOT)),
    **dict.fromkeys(("_replyto", "_reply_to", "replyto"), (True, "Obeyed: answers go to this address.")),
    **dict.fromkeys(("_subject", "subject"), (True, "Obeyed: the subject of your mail.")),
    **dict.fromkeys(("_test", "_sandbox"), (True, "Obeyed: the lead is marked as a test.")),
    **dict.fromkeys(
        ("g-recaptcha-response", "h-captcha-response", "cf-turnstile-response", "_botpoison"),
        (False, "Ignored for now: the answer to a captcha is neither checked nor shown."),
    ),
    **dict.fromkeys(
        ("_webhook", "webhook"), (False, "Ignored: a visitor could change it. Add the address as a destination here.")
    ),
    "_autoresponse": (False, "Ignored: a visitor could change it, and have us mail anything to anybody."),
    "_blacklist": (False, "Ignored: a visitor could change it."),
    "_captcha": (False, "Ignored: there is no captcha here to switch off. The trap field catches robots."),
    **dict.fromkeys(
        ("access_key", "apikey", "form-name"), (False, "Not needed: the new address says which form it is.")
    ),
    "from_name": (True, "Obeyed: the sender's name in your mail."),
    "_format": (True, "Obeyed: with “plain”, your mail comes as text alone."),
    "_language": (True, "Obeyed where your mail exists in that language."),
    "_template": (False, "Ignored: all mails have one layout."),
    **dict.fromkeys(("source_url", "page_url", "landing_page"), (True, "Obeyed: where the visitor was.")),
}
NEXT = ("_next", "_redirect", "redirect", "retURL")
COPIES = ("_cc", "_bcc", "ccemail")
SOURCES = (*UTM, *CLICK_IDS, *BRAIDS, "referrer", "lead_source")
CAPTCHA = re.compile(r"g-recaptcha|h-captcha|cf-turnstile|netlify-recaptcha", re.I)


@dataclass(frozen=True)
class Home:
    """What the form here allows."""

    site_url: str = ""
    allowed_origins: Sequence[str] = ()
    cc_allowed: Sequence[str] = ()


@dataclass
class Control:
    """One field of the pasted form. `hint` is its label, placeholder and autocomplete."""

    name: str
    kind: str
    value: str = ""
    hint: str = ""
    sample: str = ""


@dataclass(frozen=True)
class Line:
    """What becomes of one field. `tone` is good (found), muted (an answer), hold (obeyed) or wait (ignored)."""

    name: str
    meaning: str
    why: str
    tone: str


@dataclass(frozen=True)
class Plan:
    """What the page shows."""

    lines: list[Line]
    missing: list[str]
    snippet: str
    notes: list[str]


@dataclass
class _Reader(HTMLParser):
    """Collects the first form that has fields, and where its start tag stands."""

    controls: list[Control] = field(default_factory=list)
    tag: str = ""
    place: tuple[int, int] = (0, 0)
    forms: int = 0
    trap: str = ""  # the field that Netlify is told to watch

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms += 1
            if self.forms == 1:
                self.tag, self.place = self.get_starttag_text() or "", self.getpos()
                self.trap = (given.get("data-netlify-honeypot") or given.get("netlify-honeypot") or "").strip()[:120]
        kind = given.get("type", "text").lower() if tag == "input" else tag
        if tag not in ("input", "select", "textarea") or self.forms > 1 or kind in NOT_POSTED:
            return
        if given.get("name") and len(self.controls) < MOST_FIELDS:
            hint = " ".join((self._words, given.get("placeholder", ""), given.get("autocomplete", "")))
            self.controls.append(Control(given["name"].strip(), kind, given.get("value", ""), hint))
        self._words = ""

    def handle_data(self, data: str) -> None:
        """The words before a field are its label, more often than not."""
        self._words = f"{self._words} {data.strip()}"[-200:]


def plan(pasted: str, address: str, honeypot: str = "", home: Home | None = None) -> Plan | None:
    """None when there is no field with a name in it."""
    reader = _Reader()
    reader.feed(pasted[:LONGEST])
    if not reader.controls:
        return None
    payload: dict[str, object] = {}
    for number, control in enumerate(reader.controls):
        control.sample = _sample(control, number, honeypot)
        payload.setdefault(control.name, control.sample)
    found = understand(payload, honeypot)
    lines = [_line(control, found, honeypot, home or Home()) for control in _once(reader.controls)]
    missing = [role for role in ROLES if not getattr(found, role)]
    return Plan(lines, missing, _changed(pasted[:LONGEST], reader, address), list(_notes(reader, pasted, honeypot)))


def _sample(control: Control, number: int, honeypot: str) -> str:
    """What a person would type; a trap stays empty, a hidden field keeps its value."""
    if control.name == honeypot or SPECIAL.get(control.name) == (True, HONEYPOT):
        return ""
    if control.kind in ("hidden", "checkbox", "radio"):
        return control.value or "on"
    says = f"{control.name} {control.hint}"
    kind = control.kind if control.kind in ("email", "tel", "textarea", "select", "file") else ""
    kind = kind or next((kind for kind, pattern in HINTS if pattern.search(says)), "")
    return {
        "email": f"ada{number}@example.com",
        "tel": f"+49 30 555 01{number:02d}",
        "textarea": f"I would like to order {number + 20} chairs. When can you deliver them?",
        "select": control.value or f"Choice {number}",
        "file": "",
        "name": f"{FIRST[number % 10]} {LAST[number % 10]}" if "first" not in says.lower() else FIRST[number % 10],
        "": f"Answer {number}",
    }[kind]


def _once(controls: list[Control]) -> Iterator[Control]:
    seen: set[str] = set()
    for control in controls:
        if control.name not in seen:
            seen.add(control.name)
            yield control


def _line(control: Control, found: Understood, honeypot: str, home: Home) -> Line:
    if control.name == honeypot:
        return Line(control.name, "trap", HONEYPOT, "hold")
    role = next((role for role in ROLES if _went_into(control, getattr(found, role))), "")
    if role and control.name not in SPECIAL:
        reason = found.reasons.get(role, "")
        return Line(
            control.name, {"email": "e-mail"}.get(role, role), f"Found: {reason}." if reason else "Found.", "good"
        )
    if control.name in SPECIAL:
        obeyed, why = SPECIAL[control.name]
        return _special(control.name, why, obeyed=obeyed)
    if control.name in NEXT:
        return _next_line(control, home)
    if control.name in COPIES:
        return _copy_line(control, home)
    if control.name.lower().startswith("utm_") or control.name in SOURCES:
        return Line(control.name, "where it came from", "Obeyed: shown as the lead's source.", "hold")
    if control.kind == "file":
        return Line(control.name, "file", "Kept with the lead, as a download.", "muted")
    if control.name.startswith("_"):
        return Line(control.name, "ignored", "Kept in the raw data; names that begin with _ are no answers.", "wait")
    return Line(control.name, "answer", "Kept and shown with its own name.", "muted")


def _special(name: str, why: str, *, obeyed: bool) -> Line:
    return Line(name, "obeyed" if obeyed else "ignored", why, "hold" if obeyed else "wait")


def _next_line(control: Control, home: Home) -> Line:
    """Whether the visitor will get to that page, as things stand."""
    wanted = control.value.strip()
    if not wanted:
        why = "Obeyed when it is a page of the form's own site, or of a site that the form allows."
        return _special(control.name, why, obeyed=True)
    origin = origin_of(wanted)
    if address := next_page(wanted, "", site_url=home.site_url, allowed_origins=home.allowed_origins):
        return _special(control.name, f"Obeyed: the visitor gets to {address}.", obeyed=True)
    if not origin and home.allowed_origins:
        why = "Obeyed: the visitor gets to that page of the allowed site that the form stands on."
        return _special(control.name, why, obeyed=True)
    if origin:
        why = f"Not obeyed yet: this form does not know {origin}. Edit it here and write that as its site."
    else:
        why = "Not obeyed yet: this form does not know its own site. Edit it here and write the site's address."
    return _special(control.name, f"{why} Until then our thank-you page comes.", obeyed=False)


def _copy_line(control: Control, home: Home) -> Line:
    """Whether every address in there is on the form's list."""
    listed = {address.casefold() for address in home.cc_allowed}
    asked = [one for one in re.split(r"[\s,;]+", control.value.strip().casefold()) if one]
    if unknown := [one for one in asked if one not in listed]:
        why = (
            f"Not obeyed yet: {', '.join(unknown)[:200]} is not on the form's list of copies. Edit it here and add it."
        )
        return _special(control.name, why, obeyed=False)
    why = "Obeyed: a copy goes there." if asked else "Obeyed for addresses on the form's list of copies only."
    return _special(control.name, why, obeyed=True)


def _went_into(control: Control, text: str) -> bool:
    sample = control.sample
    return bool(sample) and (text == sample or sample in text.split() or (" " in sample and sample in text))


def _changed(pasted: str, reader: _Reader, address: str) -> str:
    """The same text; only the start tag of its form is another one."""
    if not reader.tag:
        return f'<form action="{html.escape(address)}" method="post">\n{pasted.strip()}\n</form>'
    line, column = reader.place
    at = sum(len(one) for one in pasted.splitlines(keepends=True)[: line - 1]) + column
    at = at if pasted.startswith(reader.tag, at) else pasted.find(reader.tag)
    tag = re.sub(r"""\s(?:action|method)\s*=\s*(?:"[^"]*"|'[^']*'|[^\s>"']+)""", "", reader.tag, flags=re.I)
    tag = re.sub(
        r"""\s(?:data-netlify|netlify|data-netlify-recaptcha)(?:\s*=\s*(?:"[^"]*"|'[^']*'))?(?=[\s>])""", "", tag
    )
    if _lacks_encoding(reader):
        tag = re.sub(r"""\senctype\s*=\s*(?:"[^"]*"|'[^']*'|[^\s>"']+)""", "", tag, flags=re.I)
        tag = re.sub(r"^<form", '<form enctype="multipart/form-data"', tag, count=1, flags=re.I)
    tag = re.sub(r"^<form", lambda _: f'<form action="{html.escape(address)}" method="post"', tag, count=1, flags=re.I)
    return pasted[:at] + tag + pasted[at + len(reader.tag) :]


def _lacks_encoding(reader: _Reader) -> bool:
    return any(one.kind == "file" for one in reader.controls) and "multipart/form-data" not in reader.tag.lower()


def _notes(reader: _Reader, pasted: str, honeypot: str) -> Iterator[str]:
    if not reader.tag:
        yield "There was no <form> around these fields, so one was put there."
    if reader.forms > 1:
        yield "There is more than one form in there; this is about the first."
    if "netlify" in reader.tag.lower():
        yield "What told Netlify to take the form is left out, or it would go on taking it."
    if _lacks_encoding(reader):
        yield 'Files only arrive when the form says enctype="multipart/form-data", so that was added.'
    if (trap := reader.trap) and trap.casefold() not in HONEYPOTS and trap.casefold() != honeypot.casefold():
        yield f"Its trap for robots is the field “{trap}”. Edit the form here and write that as its trap field."
    if CAPTCHA.search(pasted):
        yield "It shows a captcha, which is not checked here. Take it out: it costs your visitors time."
    if "onsubmit" in reader.tag.lower():
        yield "A script of your page runs when it is sent (onsubmit). If that sends it elsewhere, take it out."
