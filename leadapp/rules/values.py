"""What one value says: a text, a truth, a number, an address, a phone number; None where that is not sure."""

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

# All white space of Unicode, then what is there and shows nothing: zero-width signs, marks of direction, soft hyphen
BLANK = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
    "\xad\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
)
YES = frozenset(
    """true yes on 1 y t checked ✓ ✔ ☑ ja jawohl j wahr oui vrai si sí sì
    verdadero vero sim verdadeiro da да правда evet doğru tak prawda áno ano igen kyllä joo jah jā taip
    так ναι כן نعم हाँ हां ya vâng có ใช่ はい 是 是的 对 예 네 po ndiyo""".split()
)
NO = frozenset(
    """false no off 0 n f unchecked ✗ ✘ ☐ nein falsch non faux falso não nao
    нет ложь hayır hayir yanlış nie fałsz nee nej nei nu ne nem ei nē όχι οχι
    לא لا नहीं tidak không ไม่ใช่ いいえ 否 不 不是 아니요 아니오 hindi hapana ні""".split()
)
LONGEST_WORD = 12
LONGEST_PHONE = 60
_ADDRESS = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+\.[^@\s<>,;\".]+")
_NAMED_ADDRESS = re.compile(r"[^<>]*<([^@\s<>]+@[^@\s<>]+)>")
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(?:[.,][0-9]{1,15})?")
_PHONE = re.compile(r"[+(]?[\d\s()./\-–+]{3,40}(?:[,;]?\s?(?:x|ext\.?|#)\s?\d{1,6})?", re.IGNORECASE)


def trimmed(text: str) -> str:
    """Without white space and invisible signs at both ends."""
    return text.strip(BLANK)


def has_value(value: Any) -> bool:
    """Whether a field says anything: null, blanks, and what holds only such, do not."""
    if isinstance(value, str):
        return bool(trimmed(value))
    return value is not None and value not in ([], {})


def singles(value: Any) -> Iterator[Any]:
    """The values of a field: a repeated one has several, empty ones do not count."""
    yield from (one for one in (value if isinstance(value, list) else [value]) if has_value(one))


def text_of(value: Any) -> str | None:
    """A text or number as text, 66123.0 as 66123; a truth as true or false; None for what has parts."""
    if isinstance(value, str):
        return trimmed(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else str(value)
    if isinstance(value, int) and value.bit_length() <= 1024:
        return str(value)
    return None


def truth_of(value: Any) -> bool | None:
    """A word for yes or no in one of many languages, or 1 and 0; None when it is not sure."""
    text = text_of(value)
    if text is None or len(text) > LONGEST_WORD:
        return None
    word = unicodedata.normalize("NFKC", text).casefold().rstrip(".! ")
    if word in YES:
        return True
    return False if word in NO else None


def number_of(value: Any) -> int | float | None:
    """A number, or a text that is one; None for `1,234` and `1.234`, a thousand in one country and one in the other."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    text = trimmed(value) if isinstance(value, str) else ""
    if not _NUMBER.fullmatch(text):
        return None
    whole, sign, rest = text.replace(",", ".").partition(".")
    if not sign:
        return int(text)
    may_be_thousands = len(rest) == 3 and int(whole) != 0
    return None if may_be_thousands else float(f"{whole}.{rest}")


def email_of(value: Any) -> str | None:
    """An address in small letters, also out of `Name <address>`; None for what is none."""
    if not isinstance(value, str) or len(value) > 1000:
        return None
    text = trimmed(value)
    named = _NAMED_ADDRESS.fullmatch(text)
    text = (named[1] if named else text).lower()
    return text if len(text) <= 320 and _ADDRESS.fullmatch(text) else None


def phone_of(value: Any, country: str = "") -> str | None:
    """A phone number in E.164; national ones are read with the country. None when it cannot be read.

    An extension is no part of E.164 and goes. An international number needs a possible length, a national one must
    be valid: of the two, only its country can be a wrong guess.
    """
    text = _phone_text(value)
    return None if text is None else _e164(text, country.upper())


@lru_cache(maxsize=64)  # one lead asks more than once
def _e164(text: str, country: str) -> str | None:
    import phonenumbers  # 60 ms, and only for leads with a phone

    try:
        number = phonenumbers.parse(text, country or None)
    except phonenumbers.NumberParseException:
        return None
    is_international = text.startswith("+")
    reason = phonenumbers.is_possible_number_with_reason(number)
    is_possible = is_international and reason == phonenumbers.ValidationResult.IS_POSSIBLE
    if not is_possible and not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _phone_text(value: Any) -> str | None:
    text = None if isinstance(value, bool) else text_of(value)
    return text if text and len(text) <= LONGEST_PHONE else None


def looks_like_phone(value: Any) -> bool:
    """Digits as people write a number, though it cannot be brought into E.164."""
    text = _phone_text(value)
    if text is None or not _PHONE.fullmatch(text):
        return False
    return 3 <= sum(letter.isdigit() for letter in text) <= 20


def is_scalar(value: Any) -> bool:
    """A single value: a text, a number, a truth."""
    return not isinstance(value, Mapping | list) and value is not None


def folded(text: str) -> str:
    """A text as it is compared: without blanks at the ends, small letters, composed."""
    return unicodedata.normalize("NFC", trimmed(text).casefold())


def says(value: Any, wanted: Any) -> bool:
    """Whether a value says what is wanted, which decides how it is read: as a truth, a number or a text."""
    if isinstance(wanted, bool):
        return truth_of(value) is wanted
    if isinstance(wanted, int | float):
        number = number_of(value)
        return number is not None and number == wanted
    text = text_of(value)
    return text is not None and folded(text) == folded(wanted)
