"""Text made safe for mail headers, and encoded for them (RFC 2047).

Headers are encoded here and written out as they are: the standard library's newer folding (Python 3.11) takes
encoded words in a visitor's text apart and loses quotes and line breaks on the way.
"""

import re
from email.header import Header
from email.utils import formataddr

# Control characters, line and paragraph separators, lone surrogates, and what turns the reading direction around.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,76}")
SUBJECT_LIMIT = 150
NAME_LIMIT = 70


def one_line(text: str, limit: int = SUBJECT_LIMIT) -> str:
    """The text on one line without control characters, cut to `limit` characters with an ellipsis."""
    line = " ".join(UNSAFE.sub(" ", text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def encoded(text: str, limit: int = SUBJECT_LIMIT) -> str:
    """A header's value in ASCII; text that looks like an encoded word is encoded, so that it is read as it was."""
    line = one_line(text, limit)
    if line.isascii() and "=?" not in line:
        return line
    return Header(line, "utf-8").encode(maxlinelen=75)


def mailbox(name: str, address: str) -> str:
    """`name <address>` for From and the like; an address inside the name is taken out, as mail programs show it."""
    shown = one_line(re.sub(r"[<>@]", " ", name), NAME_LIMIT)
    if shown.isascii() and "=?" not in shown:
        return formataddr((shown, address))
    return f"{encoded(shown, NAME_LIMIT)} <{address}>"
