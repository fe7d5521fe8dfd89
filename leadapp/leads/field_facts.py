"""What the name of a field alone says: how surely it plays each role, and whose field it is."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from leadapp.leads.field_names import (
    ANIMALS,
    CONFIRMS,
    GENERIC,
    LATER,
    LEADING,
    NAMES,
    NOISE,
    NUMBERED,
    NUMBERED_PEOPLE,
    OTHER,
    OTHERS,
    OWNERS,
    PEOPLE,
    PERSONAL,
    POLITE,
    STEMS,
    TOPICS,
    WEAK,
    plain,
)
from leadapp.leads.field_payload import Path
from leadapp.leads.field_spelling import misspelt

PINNED = 1000
FIRST, EXACT, TRIMMED, IN_A_ROW, AMONG, INSIDE, MISSPELT, BESIDE_OTHER, WEAKLY = 106, 100, 90, 86, 70, 55, 50, 45, 35
LONGEST_NAME_OF_A_FIELD = 300
PARTS = re.compile(r"[\[\]]+|\.(?=\S)|(?<=\d)/")  # lead[email], lead.email, 0-1/email
WORDS = re.compile(r"(?<=[a-zа-яёà-ÿ])(?=[A-ZА-ЯЁ])|[\W_]+")
NOT_ALONE = frozenset({"first", "last", "given", "family", "second", "from", "to", "sei", "mei", "ten", "ad", "not"})
SAID_AGAIN = ("確認", "확인", "确认")
HOLDERS = frozenset("full value val number e164 international".split())
PERSONS = frozenset({"name", "first_name", "last_name"})
HALVES = {"first_name": ("first", "mei"), "last_name": ("last", "sei")}
HALF_NAMES = {role: NAMES[role] - NOT_ALONE for role in HALVES}
QUESTION = 6  # words or more
WORDS_OF_ROLES = frozenset().union(*NAMES.values())
SPOKEN = frozenset().union(WORDS_OF_ROLES, *WEAK.values(), NOISE, OTHER - PERSONAL, OWNERS, OTHERS, CONFIRMS, GENERIC)
LONGEST_ROW = 4  # words of a name that are read together
GLUED = tuple(PEOPLE)
SHORTEST, LONGEST = 4, 7  # letters of an abbreviation (`desc`, `telef`)


@dataclass(frozen=True)
class Facts:
    """What a field's name alone says."""

    scores: Mapping[str, int]
    is_other: bool
    is_generic: bool
    is_owners: bool
    is_others: bool
    is_confirm: bool
    is_animals: bool = False
    is_keepers: bool = False
    is_topic: bool = False


def parts_of(path: Path) -> list[str]:
    return [part for key in path for part in PARTS.split(key) if part.strip()]


def facts_of(path: Path) -> Facts:
    """What the name says, by its last keys; a name of any length is read as far as people write names."""
    return _facts_of(tuple(key[:LONGEST_NAME_OF_A_FIELD] for key in path[-4:]))


@lru_cache(maxsize=4096)
def _facts_of(path: Path) -> Facts:
    """Kept, as the fields of a form come again and again."""
    parts = parts_of(path)[-6:] or [path[-1]]
    last = parts[-1]
    if len(parts) > 1 and (last.isdigit() or plain(last) in HOLDERS) and not parts[-2].isdigit():
        last = parts[-2] if plain(last) in HOLDERS or last == "0" else last
    words = [plain(word) for word in WORDS.split(last)]
    words = [word for word in words if word]
    whole = plain(path[-1])
    polite = next((one for one in POLITE if last.startswith(one)), "")
    last = last.removeprefix(polite) if plain(last) not in WORDS_OF_ROLES else last
    others = OTHER.intersection(words) or ({plain(last), whole} & OTHER)
    first_of = NUMBERED_PEOPLE.intersection(words) if "1" in words else frozenset()
    others -= first_of
    persons = [word for word in words if word not in PERSONAL]
    scores = {role: _named(role, plain(last), whole, words, is_other=bool(others)) for role in NAMES}
    if others and others <= PERSONAL:
        found = {role: _named(role, "".join(persons), "", persons, is_other=False) for role in PERSONS}
        scores |= {role: min(score, AMONG) for role, score in found.items()}
    if words and all(HALF_NAMES[role].intersection(words) for role in HALVES):  # `voornaam_achternaam`: both in one
        scores |= {"name": IN_A_ROW * (not others), "first_name": 0, "last_name": 0}
    if gravity := re.fullmatch(r"input_\d+[._]([36])", path[-1]):
        scores["first_name" if gravity[1] == "3" else "last_name"] = AMONG
    is_generic = all(word in GENERIC or len(word) == 1 or any(map(str.isdigit, word)) for word in words)
    is_generic = is_generic and OTHER.isdisjoint(map(plain, parts[:-1]))  # `group[91023][8]` is a choice
    tail = [*(word for word in words if not word.isdigit()), *words[-1:]]  # `email_2`, not `email-yui_3_2_1`
    return Facts(
        {role: score for role, score in scores.items() if score},
        is_other=bool(others),
        is_generic=is_generic,
        is_owners=_is_owners(words, plain(last)),
        is_others=not is_generic and bool(OTHERS.intersection(tail) - first_of),
        is_confirm=(not is_generic and bool(CONFIRMS.intersection(tail))) or any(map(last.__contains__, SAID_AGAIN)),
        is_animals=bool(ANIMALS.intersection(words)),
        is_keepers="owner" in words,
        is_topic=not TOPICS.isdisjoint(words),
    )


def _is_owners(words: Sequence[str], last: str) -> bool:
    """`email_to`, `recipient`; but not a question that happens to hold such a word."""
    is_named = last in OWNERS or bool(OWNERS.intersection(words))
    return is_named and "reply" not in words and len(words) < QUESTION


def _named(role: str, last: str, whole: str, words: Sequence[str], *, is_other: bool) -> int:
    """How surely this name means the role: 0 for not at all."""
    table = NAMES[role]
    core = [word for word in words if word not in NOISE and not word.isdigit()]
    joined = "".join(core).rstrip("0123456789")
    trimmed = last.rstrip("0123456789")
    if role == "message" and ({last, joined} & LEADING):
        return FIRST
    if last in table or whole in table:
        return EXACT
    if is_other and role not in ("email", "phone", "message"):
        return 0
    if not is_other and (trimmed in table or joined in table) and not (trimmed != last and trimmed in NUMBERED):
        if role == "name" and len(words) > 1 and LATER.isdisjoint(words):
            return TRIMMED + 11  # `contact_name` before a bare `name`
        return TRIMMED
    if not is_other and {last, joined} & WEAK.get(role, frozenset()):
        return WEAKLY
    void = NOT_ALONE | NUMBERED if words and words[-1].isdigit() else NOT_ALONE
    hits = [word for word in words if word in table and len(word) > 2 and word not in void]
    if not is_other and _in_a_row(role, words):
        return IN_A_ROW
    if hits and not is_other:
        return max(AMONG - 3 * (len(core) - 1), INSIDE)
    if hits or any(stem in last for stem in STEMS.get(role, ())):
        return 0 if {"fax", "telefax"} & set(words) else (BESIDE_OTHER if is_other else INSIDE)
    return 0 if is_other else _guessed(role, last, joined, core)


def _guessed(role: str, last: str, joined: str, core: Sequence[str]) -> int:
    """Words glued to a person, misspelt or cut short."""
    if len(core) == 1 and any(rest in NAMES[role] for rest in _without_people(joined)):
        return INSIDE
    if role in map(misspelt, {last, joined, *core[-1:]}):
        return MISSPELT
    return WEAKLY if len(core) == 1 and SHORTENED.get(joined) == role else 0


def _in_a_row(role: str, words: Sequence[str]) -> bool:
    """Words that mean the role together stand side by side: `name-1-last-name`, `last_name_d97c`, `name (awf_last)`."""
    if role in HALVES and {"name", *chain(*HALVES.values())}.intersection(words) in [
        {"name", one} for one in HALVES[role]
    ]:
        return True
    spans = range(2, min(LONGEST_ROW, len(words) - 1) + 1)
    return any("".join(words[at : at + span]) in NAMES[role] for span in spans for at in range(len(words) - span + 1))


def _without_people(word: str) -> list[str]:
    """`nameowner`, `clientephone`: what is left without the person it is glued to."""
    if not word.startswith(GLUED) and not word.endswith(GLUED):
        return []
    heads = [word.removeprefix(person) for person in GLUED if word.startswith(person)]
    return heads + [word.removesuffix(person) for person in GLUED if word.endswith(person)]


def _shortened() -> dict[str, str]:
    """The beginnings of words -> their role, where no word of another kind begins so."""
    roles: dict[str, str] = {}
    kinds = [*NAMES.items(), ("", OTHER | NOISE | OWNERS | OTHERS | CONFIRMS | GENERIC)]
    for role, words in kinds:
        for word in words:
            for length in range(SHORTEST, min(LONGEST, len(word) - 1) + 1):
                begins = word[:length]
                roles[begins] = role if roles.get(begins, role) == role else ""
    return roles


SHORTENED = _shortened()
