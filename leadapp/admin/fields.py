"""Form fields and checks that the admin's forms share."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from wtforms import TextAreaField, ValidationError
from wtforms.fields import SelectChoice

from leadapp.leads.copies import MOST_COPIES


class LinesField(TextAreaField):  # type: ignore[misc]
    """A list of texts, one a line."""

    def _value(self) -> str:
        return self.raw_data[0] if self.raw_data else "\n".join(self.data or ())

    def process_formdata(self, valuelist: list[str]) -> None:
        lines = valuelist[0].replace("\0", "").splitlines() if valuelist else []
        self.data = [line.strip() for line in lines if line.strip()]


def options(pairs: Iterable[tuple[str, str]]) -> list[Any]:
    """Choices of a select, each a value and its words."""
    return [SelectChoice(value, label) for value, label in pairs]


def clean(text: str | None) -> str:
    """What was typed, without NUL (PostgreSQL refuses it) and without spaces around it."""
    return (text or "").replace("\0", "").strip()


def check_web_address(_form: Any, field: Any) -> None:
    """http or https, a host, nobody's name and password in it."""
    if field.data and (problem := web_address_problem(field.data)):
        raise ValidationError(problem)


def web_address_problem(text: str) -> str:
    """Why this cannot be an address on the web; "" when it can."""
    try:
        parts = urlsplit(text)
        has_bad_port = parts.port == 0
    except ValueError:
        return "This is not a web address. It begins with https://"
    if parts.scheme not in ("http", "https") or not parts.hostname or has_bad_port:
        return "This is not a web address. It begins with https://"
    if any(character.isspace() or character < " " for character in text):
        return "A web address has no spaces in it."
    if parts.username is not None or parts.password is not None:
        return "Leave the name and the password out of the address: they would show in lists and logs."
    return ""


def check_origins(_form: Any, field: Any) -> None:
    """Each line is a site: scheme and host, no path."""
    for line in field.data:
        parts = urlsplit(line) if not web_address_problem(line) else None
        if parts is None or parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValidationError(f"“{line}” is not a site. Write it like https://www.example.com")


def check_required_fields(_form: Any, field: Any) -> None:
    """Names of fields, not a novel."""
    if len(field.data) > 100 or any(len(line) > 200 for line in field.data):
        raise ValidationError("At most 100 names of at most 200 letters each.")


def check_copies(_form: Any, field: Any) -> None:
    """Each line is one e-mail address, and not more of them than a form may copy to."""
    for line in field.data:
        if problem := mail_address_problem(line):
            raise ValidationError(f"“{line}”: {problem}")
    if len(field.data) > MOST_COPIES:
        raise ValidationError(f"At most {MOST_COPIES} addresses.")


def mail_address_problem(text: str) -> str:
    """Why this cannot be one e-mail address; "" when it can."""
    name, at, host = text.rpartition("@")
    if not (name and at and "." in host.strip(".")) or any(c.isspace() or c in ',;<>"' for c in text):
        return "This is not one e-mail address. It looks like you@example.com"
    return "" if len(text) <= 254 else "This address is too long for any mail server."
