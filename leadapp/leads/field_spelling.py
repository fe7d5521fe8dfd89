"""Words that somebody misspelt: one letter too many, too few, wrong or swapped, or only the vowels wrong."""

from collections.abc import Iterator

from leadapp.leads.field_names import CONFIRMS, GENERIC, NAMES, NOISE, OTHER, OTHERS, OWNERS, WEAK

SHORTEST = 7  # letters; the shorter a word, the likelier that its neighbour is another one
ONE_VOWEL = str.maketrans("eiou", "aaaa")
# Spelt right, though close to a word of the tables.
MEANT = frozenset("massage massages context contest contests contact contacts".split())
OTHER_WORDS = OTHER | NOISE | OWNERS | OTHERS | CONFIRMS | GENERIC | frozenset().union(*WEAK.values())


def _close_to(word: str) -> Iterator[str]:
    """The word and all that lack one letter of it, the first aside: two words that share one are a slip apart."""
    yield word
    for at in range(1, len(word)):
        yield word[:at] + word[at + 1 :]


def _is_long(word: str) -> bool:
    return word.isascii() and word.isalpha() and len(word) >= SHORTEST


def _slips() -> dict[str, str]:
    """What a slip may leave -> the role, "" where words of two kinds are that close."""
    roles: dict[str, str] = {}
    for role, words in [*NAMES.items(), ("", OTHER_WORDS)]:
        for word in filter(_is_long, words):
            for close in _close_to(word):
                roles[close] = role if roles.get(close, role) == role else ""
    return roles


SLIPS = _slips()
BY_CONSONANTS = {word.translate(ONE_VOWEL): role for role, words in NAMES.items() for word in filter(_is_long, words)}
WORDS = OTHER_WORDS.union(MEANT, *NAMES.values())
LONGEST = 1 + max(map(len, SLIPS))  # letters; a longer word is close to none, and dear to compare


def misspelt(word: str) -> str:
    """The role whose word this was meant to be; "" for a word that is spelt right or close to several kinds."""
    if not SHORTEST - 1 <= len(word) <= LONGEST or not word.isascii() or word in WORDS:
        return ""
    roles = {SLIPS[close] for close in _close_to(word) if close in SLIPS}
    if len(roles) == 1:
        return roles.pop()
    return "" if roles else BY_CONSONANTS.get(word.translate(ONE_VOWEL), "")
