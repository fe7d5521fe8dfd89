"""Signs of a robot beside the traps, both off by default: sent faster than anybody types, and full of links.

The page that Leadapp itself shows says, signed, when it was made; a page without that, or with somebody's own, tells
nothing and costs nothing.
"""

import re
from collections.abc import Mapping
from typing import Any

from itsdangerous import BadData, TimestampSigner

from leadapp import clock
from leadapp.config import Settings
from leadapp.leads.field_payload import leaves

MADE = "_made"
LINK = re.compile(r"https?://|\bwww\.|\[url|<a\s", re.IGNORECASE)
LOOKED_AT = 100_000  # characters of one answer
QUICK, LINKS, SURE = 60, 20, 100  # a score of 100 is as sure as a trap


def stamp(form_key: str, limits: Settings) -> str:
    """For the hidden field `_made` of a page that is shown now; "" while nobody looks at it."""
    return _signer(limits).sign(form_key).decode() if limits.spam_min_seconds > 0 else ""


def suspicion(form_key: str, payload: Mapping[str, Any], limits: Settings) -> str:
    """Why this looks like a robot's, with a score; "" when it does not, or nobody wants to know."""
    reasons, score = [], 0
    age = _age(form_key, payload, limits) if limits.spam_min_seconds > 0 else None
    if age is not None and 0 <= age < limits.spam_min_seconds:
        reasons.append(f"sent {age:.0f} s after the page was opened")
        score += QUICK
    if 0 < limits.spam_max_links < (links := _links(payload)):
        reasons.append(f"{links} links in what was written")
        score += LINKS * (links - limits.spam_max_links) + LINKS
    return f"{' and '.join(reasons)}; score {min(score, SURE)} of {SURE}" if reasons else ""


def _age(form_key: str, payload: Mapping[str, Any], limits: Settings) -> float | None:
    """Seconds since the page was made; None when it does not say so, or not about this form."""
    said = payload.get(MADE)
    try:
        key, made = _signer(limits).unsign(str(said or ""), return_timestamp=True)
    except BadData:
        return None
    return (clock.now() - made).total_seconds() if key.decode() == form_key else None


def _links(payload: Mapping[str, Any]) -> int:
    """In all that a person may have written; a field that holds one address and nothing else is not writing."""
    texts = (one.text[:LOOKED_AT] for one in leaves(payload) if not one.path[0].startswith("_"))
    return sum(len(LINK.findall(text)) for text in texts if " " in text.strip())


def _signer(limits: Settings) -> TimestampSigner:
    return TimestampSigner(limits.secret_key.get_secret_value(), salt="form page")
