"""What a value looks like: an address, a phone number, somebody's name, a message. Every check is linear."""

import re

from leadapp.leads.field_names import BUTTONS, plain

ADDRESS = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;]+")
PHONE = re.compile(r"[+(]?[\d\s()./\-+]{4,40}(?:(?:x|ext\.?|#)\s?\d{1,6})?", re.IGNORECASE)
DATE = re.compile(r"\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{4}|\d{1,2}/\d{1,2}/\d{2}")
# A budget from and to, years from and to, a round sum, a post code of Brazil.
SUM = re.compile(
    r"[1-9]\d*00\s?-\s?[1-9]\d*00|(?:19|20)\d\d\s?-\s?(?:19|20)\d\d|[1-9](?:[ .]?\d){2,4}[ .]?000|\d{5}-\d{3}"
)
SWITCHES = frozenset({"on", "off", "yes", "no", "true", "false", "ja", "nein", "oui", "non", "si", "da", "nu"})
# Scripts that write names and sentences without spaces.
UNSPACED = re.compile(r"[぀-ヿ㐀-鿿豈-﫿]")
IDEOGRAPHS = re.compile(r"[぀-ヿ㐀-鿿々]{2,8}|[가-힣]{2,6}")
LONGEST_NAME = 80
PARTICLES = frozenset("de da do dos das del della di du la le van den der von zu bin ibn al el y e".split())


def is_address(text: str) -> bool:
    return len(text) <= 320 and ADDRESS.fullmatch(text.strip()) is not None  # the pattern is slow on long texts


def is_phone(text: str) -> bool:
    text = text.strip()
    if len(text) > 40 or not PHONE.fullmatch(text) or DATE.fullmatch(text) or SUM.fullmatch(text):
        return False
    return 6 <= sum(letter.isdigit() for letter in text) <= 15


def is_written_like_a_phone(text: str) -> bool:
    """Not just a number: an international one, or a long one in groups."""
    text = text.strip()[:41]
    groups = re.findall(r"\d+", text)
    return is_phone(text) and (text[0] == "+" or (text[0] in "(0" and len(groups) > 1 and sum(map(len, groups)) >= 9))


def is_number(text: str) -> bool:
    return len(text) <= 100 and text.strip().isdigit()


def is_switch(text: str) -> bool:
    return len(text) <= 5 and text.strip().casefold() in SWITCHES


def is_name(text: str) -> bool:
    """Letters only, few words: it may well be somebody's name."""
    text = text.strip()
    if not 2 <= len(text) <= LONGEST_NAME or is_switch(text) or len(text.split()) > 5:
        return False
    return all(letter.isalpha() or letter in " .'’-·・" or 0x300 <= ord(letter) < 0x370 for letter in text) or (
        IDEOGRAPHS.fullmatch(text) is not None
    )


def is_whole_name(text: str) -> bool:
    """More than one word, each beginning like a name; or a few ideographs."""
    text = text.strip()
    if IDEOGRAPHS.fullmatch(text):
        return True
    return is_name(text) and len(text.split()) > 1 and not text[0].islower()


def is_persons(text: str) -> bool:
    """A whole name in which every word but a particle (`de`, `van`) begins with a capital."""
    words = text.split()
    begin = [word[0].isupper() for word in words if word not in PARTICLES]
    return is_whole_name(text) and all(begin) and len(words) <= 4


def is_prose(text: str) -> bool:
    """Somebody's words, not a choice, a code or an address of a page."""
    text = text.strip()
    if "://" in text[:12] or text[:1] in "{[":
        return False
    if UNSPACED.search(text[:200]):
        return len(text) >= 10
    head = text[:400]
    return len(text) >= 15 and len(head.split()) >= 3 and sum(map(str.isalpha, head)) > len(head) / 2


def is_remark(text: str) -> bool:
    """A few words that go on in small letters or end like a sentence: neither a name nor a company's."""
    text = text.strip()
    words = text[:100].split()
    if not words or is_address(text) or is_phone(text) or is_switch(text) or not any(map(str.isalpha, text[:100])):
        return False
    goes_on = text[0].isalpha() and any(word[0].islower() for word in words[1:])
    return goes_on or text[-1] in "?!？！"


def is_speech(text: str) -> bool:
    """Words that go on in small letters, as sentences do and lists of names do not. Other scripts do not tell."""
    head = text[:200]
    if not any(map(str.islower, head)):
        return True  # shouted, or a script without small letters
    return any(word[0].islower() for word in head.split()[1:])


def is_sentence(text: str) -> bool:
    """Somebody's words, whole to their end: no title that a page's author wrote."""
    text = text.strip()
    is_long = len(text.split()) >= 4 or (len(text) >= 10 and UNSPACED.search(text[:200]) is not None)
    return is_long and text[-1] in ".?؟。？" and is_prose(text) and is_speech(text)


def is_too_long_for_a_surname(text: str) -> bool:
    """Korean ones have one syllable, seldom two; a company's has more."""
    return re.fullmatch(r"[가-힣]{4,20}", text.strip()) is not None


def is_choice(text: str) -> bool:
    """One word in small letters: what a page's author wrote behind a box to tick, `none` or `other`."""
    return len(text) <= 40 and text.isalpha() and text.islower()


def is_code(text: str) -> bool:
    """One word with a digit in it, as programs write them."""
    return len(text) <= 40 and text.isascii() and len(text.split()) == 1 and any(map(str.isdigit, text))


def is_button(text: str) -> bool:
    """What stands on a button: a word or two, one of them "send"."""
    words = text.split() if len(text) <= 30 else []
    return 0 < len(words) <= 2 and not BUTTONS.isdisjoint(map(plain, words))


def is_eastern(text: str) -> bool:
    """Written in a script whose names begin with the family's."""
    return IDEOGRAPHS.fullmatch(text.strip()) is not None or re.fullmatch(r"[가-힣一-鿿]", text.strip()) is not None
