"""Messages from templates/emails/<name>/{subject.txt,body.txt,body.html}."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import current_app

from leadapp.messages.headers import one_line

# Control characters other than tab and line feed, and lone surrogates, which no mail can carry.
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
DEFAULT_LOCALE = "en"


@dataclass(frozen=True)
class Message:
    """A subject of one line, and the same message as text and as HTML."""

    subject: str
    text: str
    html: str


def render(name: str, context: Mapping[str, Any], locale: str = DEFAULT_LOCALE) -> Message:
    """Fill the templates of `name`; a folder named like the locale inside it comes first. HTML is escaped."""
    subject = _fill(name, "subject.txt", context, locale)
    text = _fill(name, "body.txt", context, locale)
    html = _fill(name, "body.html", context, locale)
    return Message(one_line(subject), _printable(text).strip() + "\n", _printable(html))


def _fill(name: str, part: str, context: Mapping[str, Any], locale: str) -> str:
    # The environment itself, not render_template: a mail must not depend on the request that it is made in.
    found = current_app.jinja_env.select_template([f"emails/{name}/{locale}/{part}", f"emails/{name}/{part}"])
    return found.render(context)


def _printable(text: str) -> str:
    return UNPRINTABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
