"""Which field plays which role: names first, then values; each find with a score and a reason."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from leadapp.leads import field_values as look
from leadapp.leads.field_facts import (
    FIRST,
    INSIDE,
    LONGEST_NAME_OF_A_FIELD,
    PINNED,
    SPOKEN,
    TRIMMED,
    WEAKLY,
    WORDS,
    WORDS_OF_ROLES,
    Facts,
    facts_of,
    parts_of,
)
from leadapp.leads.field_names import NAMES, plain
from leadapp.leads.field_payload import Leaf, Path

ENOUGH = 40  # a field below this score does not play the role
SHARED = 3  # fields that begin with the same word


@dataclass
class Finds:
    """The leaf and text of each role, with score and reason; `used` are the paths that went into them."""

    texts: dict[str, str] = field(default_factory=dict)
    scores: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    used: set[Path] = field(default_factory=set)
    paths: dict[str, Path] = field(default_factory=dict)

    def take(self, role: str, leaf: Leaf, score: int, reason: str) -> None:
        self.texts[role], self.scores[role], self.reasons[role] = leaf.text.strip(), score, reason
        self.used.add(leaf.path)
        self.paths[role] = leaf.path

    def give_back(self, role: str) -> None:
        self.used.discard(self.paths.pop(role))
        del self.texts[role], self.scores[role], self.reasons[role]


def find(fields: Sequence[Leaf], pinned: Mapping[str, str]) -> Finds:
    """Fill every role that some field plays. `pinned` says for a role which field a form means."""
    finds = Finds()
    for role, name in pinned.items():
        leaf = next((one for one in fields if is_called(one, name)), None)
        if leaf and role in NAMES and leaf.path not in finds.used:
            finds.take(role, leaf, PINNED, f"the form says so ({shown(leaf)})")
    known = [(one, facts_of(path)) for one, path in zip(fields, _own_paths(fields), strict=True)]
    if any(facts.is_animals for _, facts in known):  # `owner_name` beside `pet_name`: the animal's, not the site's
        known = [(one, replace(facts, is_owners=facts.is_owners and not facts.is_keepers)) for one, facts in known]
    for role in ("email", "phone", "first_name", "last_name", "name", "message"):
        if role not in finds.texts:
            _by_name(finds, role, known)
    _settle_names(finds)
    _by_value(finds, known)
    return finds


def _own_paths(fields: Sequence[Leaf]) -> list[Path]:
    """Each field's path without the word that the form writes before all its names (`avia_1_1`, `res-phone`)."""
    if glued := _glued(fields):
        return [(*one.path[:-1], one.path[-1][len(glued) :]) for one in fields]
    firsts = [WORDS.split(one.path[-1][:LONGEST_NAME_OF_A_FIELD])[0] for one in fields]
    common, count = max(Counter(firsts).items(), key=lambda pair: pair[1], default=("", 0))
    if count < SHARED or count * 3 < len(fields) * 2 or plain(common) in SPOKEN or not common.isalpha():
        return [one.path for one in fields]
    rests = [one.path[-1][len(common) :].lstrip("_-.: ") for one in fields]
    return [
        (*one.path[:-1], rest) if first == common and rest else one.path
        for one, first, rest in zip(fields, firsts, rests, strict=True)
    ]


def _glued(fields: Sequence[Leaf]) -> str:
    """What all names begin with, where the rests are words that are known and the wholes are not (`uname`, `umsg`)."""
    keys = [one.path[-1][:LONGEST_NAME_OF_A_FIELD] for one in fields]
    if len(keys) < SHARED:
        return ""
    first, last = min(keys), max(keys)  # what these two share, all share
    prefix = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))
    if not prefix or prefix in keys:
        return ""
    known = [sum(plain(key[start:]) in WORDS_OF_ROLES for key in keys) for start in (0, len(prefix))]
    return prefix if known[1] > known[0] else ""


def is_called(leaf: Leaf, name: str) -> bool:
    """`lead[email]`, `lead.email` and {"lead": {"email"}} are the same field."""
    return shown(leaf) == name or parts_of(leaf.path) == parts_of((name,))


def shown(leaf: Leaf) -> str:
    return ".".join(leaf.path)[:100]


def _by_name(finds: Finds, role: str, fields: Sequence[tuple[Leaf, Facts]]) -> None:
    best: tuple[int, int] = (ENOUGH - 1, 0)
    chosen: tuple[Leaf, Facts] | None = None
    for leaf, facts in fields:
        if (role in facts.scores or role == "email") and leaf.path not in finds.used:
            rank = (_score(role, leaf, facts), -len(leaf.path))  # the outer one of two that are as good
            if rank > best:
                best, chosen = rank, (leaf, facts)
    if chosen is not None:
        leaf, facts = chosen
        says = facts.scores.get(role, 0) > WEAKLY
        reason = "its name says so" if says else f"its value looks like {VALUE_WORDS[role]}"
        finds.take(role, leaf, best[0], f"{reason} ({shown(leaf)})")


VALUE_WORDS = {
    "email": "an address",
    "phone": "a phone number",
    "name": "a name",
    "first_name": "a first name",
    "last_name": "a surname",
    "message": "a message",
}


def _score(role: str, leaf: Leaf, facts: Facts) -> int:
    """The name's score, moved by what the value looks like. Somebody else's field comes last, the owner's never."""
    named = facts.scores.get(role, 0)
    if facts.is_owners and role in ("email", "name", "phone", "first_name", "last_name"):
        return 0
    if role == "email" and not named and look.is_address(leaf.text):
        named = WEAKLY if not facts.is_others else WEAKLY + 40
    if not named or (look.is_switch(leaf.text) and named < FIRST):
        return 0
    if role == "message" and named < FIRST and look.is_button(leaf.text):
        return 0
    return named + _fit(role, leaf.text, named) - 45 * facts.is_others - 35 * facts.is_confirm


def _fit(role: str, text: str, named: int) -> int:
    """How well the value suits the role: a doubtful name needs a value that looks right."""
    sure = named >= TRIMMED
    if role == "email":
        if look.is_address(text):
            return 30
        return -50 if sure else -named
    if role == "phone":
        if look.is_phone(text):
            return 30
        return (0 if any(map(str.isdigit, text[:60])) else -50) if sure else -named
    if role == "message":
        reads_well = look.is_prose(text) or (named < INSIDE and look.is_remark(text))
        refused = (named < INSIDE and not reads_well) or (named < FIRST and look.is_number(text))
        return -named if refused else 5 * reads_well
    if look.is_address(text) or "://" in text[:300] or look.is_number(text):
        return -named
    if named <= WEAKLY:
        return 10 if look.is_whole_name(text) else -named
    return 10 if look.is_name(text) else (0 if sure and len(text) <= 200 else -named)


def _settle_names(finds: Finds) -> None:
    """First and last together beat `name` (then often a form's title); `name` beside a first name is the surname."""
    if finds.texts.keys() >= {"first_name", "last_name", "name"}:
        halves = [role for role in ("first_name", "last_name") if finds.scores[role] < PINNED]
        for role in halves if finds.scores["name"] >= PINNED and halves else ["name"]:
            finds.give_back(role)
    elif finds.texts.keys() >= {"first_name", "name"} and _is_fathers(finds):
        finds.give_back("first_name")


def _is_fathers(finds: Finds) -> bool:
    """`fname` beside a name, a whole name in each: in some countries it asks for the father's."""
    both = look.is_whole_name(finds.texts["first_name"]) and look.is_whole_name(finds.texts["name"])
    return both and plain(finds.paths["first_name"][-1]).endswith("fname") and finds.scores["first_name"] < PINNED


def _by_value(finds: Finds, known: Sequence[tuple[Leaf, Facts]]) -> None:
    """What no name told: a number written like a phone's, a name in a numbered field, the longest free text."""
    facts_by = {one.path: facts for one, facts in known}
    fields = [one for one, _ in known]
    free = [one for one in fields if one.path not in finds.used and not one.is_list]
    free = [one for one in free if not facts_by[one.path].is_other and not look.is_switch(one.text)]
    generic = [one for one in free if facts_by[one.path].is_generic]
    if "phone" not in finds.texts:
        written = [one for one in free if look.is_written_like_a_phone(one.text)]
        phones = [one for one in generic if look.is_phone(one.text)] or written
        if phones:
            finds.take("phone", phones[0], WEAKLY + 5, f"its value looks like a phone number ({shown(phones[0])})")
    if not finds.texts.keys() & {"name", "first_name", "last_name"}:
        _name_by_value(finds, fields, [one for one in generic if one.path not in finds.used])
    if "message" not in finds.texts:
        texts = [one for one in free if one.path not in finds.used and _may_be_message(one, facts_by[one.path])]
        short = [] if texts else _short_messages(finds, fields, generic)
        if texts:
            longest = max(texts, key=lambda one: len(one.text))
            finds.take("message", longest, WEAKLY + 5, f"its value is the longest free text ({shown(longest)})")
        elif short:
            finds.take("message", short[-1], WEAKLY + 5, f"its value is the last free text ({shown(short[-1])})")


def _may_be_message(leaf: Leaf, facts: Facts) -> bool:
    if facts.is_owners or facts.is_others or not look.is_prose(leaf.text) or look.is_address(leaf.text):
        return False
    if facts.scores.keys() - {"message"}:
        return False  # its name says something else
    return facts.is_generic or len(leaf.text[:400].split()) >= 4 or look.UNSPACED.search(leaf.text[:200]) is not None


def _short_messages(finds: Finds, fields: Sequence[Leaf], generic: Sequence[Leaf]) -> list[Leaf]:
    """Few words in a numbered field: people are asked for their message after their name and address."""
    asked = max((at for at, one in enumerate(fields) if one.path in finds.used), default=-1)
    after = {one.path for one in fields[asked + 1 :]}
    return [one for one in generic if one.path in after and look.is_remark(one.text)]


def _name_by_value(finds: Finds, fields: Sequence[Leaf], generic: Sequence[Leaf]) -> None:
    """People are asked for their name before their address; two short words in a row are first and last name."""
    named = [one for one in generic if look.is_name(one.text)]
    address = next((at for at, one in enumerate(fields) if one.path in finds.used), len(fields))
    before = {one.path for one in fields[:address]}
    named = [one for one in named if one.path in before] or named
    whole = next((one for one in named if look.is_whole_name(one.text)), None)
    if whole:
        finds.take("name", whole, WEAKLY + 5, f"its value looks like a name ({shown(whole)})")
    elif len(named) > 1:
        for role, leaf in zip(("first_name", "last_name"), named, strict=False):
            finds.take(role, leaf, WEAKLY + 5, f"its value looks like a name ({shown(leaf)})")
    elif named:
        finds.take("name", named[0], WEAKLY + 5, f"its value looks like a name ({shown(named[0])})")
