"""Which field plays which role: names first, then values; each find with a score and a reason."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise, takewhile

from leadapp.leads import field_values as look
from leadapp.leads.field_facts import (
    EXACT,
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
from leadapp.leads.field_parts import together
from leadapp.leads.field_payload import Leaf, Path

ENOUGH = 40  # a field below this score does not play the role
SENTENCE_ENDS = frozenset(".?!؟;")
SHARED = 3  # fields that begin with the same word
MOST_KEPT, LONGEST_KEPT = 30, 2_000  # fields of a form of usual size, and letters of all their names


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
    fields, boxes = together(fields)
    for role, name in pinned.items():
        leaf = next((one for one in fields if is_called(one, name)), None)
        if leaf and role in NAMES and leaf.path not in finds.used:
            finds.take(role, leaf, PINNED, f"the form says so ({shown(leaf)})")
    known = list(zip(fields, _own_facts(tuple(one.path for one in fields)), strict=True))
    if any(facts.is_animals for _, facts in known):  # `owner_name` beside `pet_name`: the animal's, not the site's
        known = [(one, replace(facts, is_owners=facts.is_owners and not facts.is_keepers)) for one, facts in known]
    for role in ("email", "phone", "first_name", "last_name", "name", "message"):
        if role not in finds.texts:
            _by_name(finds, role, known)
    _settle_names(finds)
    _by_value(finds, known)
    for path in finds.used & boxes.keys():
        finds.used.update(boxes[path])
    return finds


def _own_facts(paths: tuple[Path, ...]) -> Sequence[Facts]:
    """What the names say; kept for forms of usual size, as most posts come from few forms."""
    is_usual = len(paths) <= MOST_KEPT and sum(len(key) for path in paths for key in path) <= LONGEST_KEPT
    return _kept_facts(paths) if is_usual else _facts_of_all(paths)


def _facts_of_all(paths: Sequence[Path]) -> Sequence[Facts]:
    return tuple(map(facts_of, _own_paths(paths)))


_kept_facts = lru_cache(maxsize=1024)(_facts_of_all)


def _own_paths(paths: Sequence[Path]) -> Sequence[Path]:
    """Each field's path without the word that the form writes before all its names (`avia_1_1`, `res-phone`)."""
    keys = [path[-1] for path in paths]
    if glued := _glued(keys):
        return [(*path[:-1], path[-1].removeprefix(glued)) for path in paths]
    firsts = [WORDS.split(key[:LONGEST_NAME_OF_A_FIELD])[0] for key in keys]
    common, count = max(Counter(firsts).items(), key=lambda pair: pair[1], default=("", 0))
    if count < SHARED or count * 3 < len(keys) * 2 or plain(common) in SPOKEN or not common.isalpha():
        return paths
    rests = [key[len(common) :].lstrip("_-.: ") for key in keys]
    return [
        (*path[:-1], rest) if first == common and rest else path
        for path, first, rest in zip(paths, firsts, rests, strict=True)
    ]


def _glued(names: Sequence[str]) -> str:
    """What most names begin with, where the rests are words that are known and the wholes are not (`uname`, `umsg`)."""
    keys = sorted(name[:LONGEST_NAME_OF_A_FIELD] for name in names)
    if len(keys) < SHARED:
        return ""
    return _prefix(keys, 0) or _prefix(keys, len(keys) // 3)


def _prefix(keys: Sequence[str], outside: int) -> str:
    """What the names share but for so many at either end of their order."""
    pairs = zip(keys[outside], keys[-1 - outside], strict=False)  # what these two share, all between share
    prefix = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    if not prefix or prefix in keys:
        return ""
    begun = [key for key in keys if key.startswith(prefix)]
    if len(begun) < max(SHARED, len(keys) - len(keys) // 3):
        return ""
    known = [sum(plain(key[start:]) in WORDS_OF_ROLES for key in begun) for start in (0, len(prefix))]
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
        refused = refused or (named < TRIMMED and look.is_choice(text))
        return -named if refused else 10 * reads_well - 59 * (named <= EXACT and look.is_code(text))
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
    elif finds.texts.keys() >= {"first_name", "last_name"}:
        for role, other in (("first_name", "last_name"), ("last_name", "first_name")):
            if _is_no_half(finds, role, other):
                finds.give_back(role)


def _is_no_half(finds: Finds, role: str, other: str) -> bool:
    """A company, say, where the surname should stand, beside a whole name."""
    text = finds.texts[role]
    is_beside_all = look.is_whole_name(finds.texts.get(other, "")) and finds.scores[role] < PINNED
    if role == "last_name" and look.is_too_long_for_a_surname(text):
        return is_beside_all
    return is_beside_all and not look.is_name(text) and not look.is_eastern(text)


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
        if "email" not in finds.texts:  # somebody to be reached: the number may stand in the line for the subject
            topics = [one for one, facts in known if facts.is_topic]
            phones = phones or [one for one in topics if look.is_written_like_a_phone(one.text)]
        if phones:
            finds.take("phone", phones[0], WEAKLY + 5, f"its value looks like a phone number ({shown(phones[0])})")
    if not finds.texts.keys() & {"name", "first_name", "last_name"}:
        _name_by_value(finds, fields, [one for one in generic if one.path not in finds.used])
        if not finds.texts.keys() & {"name", "first_name"}:
            near = finds.used.union(one.path for one in free)
            _name_by_place(finds, [pair for pair in known if pair[0].path in near])
    if "message" not in finds.texts:
        texts = [one for one in free if one.path not in finds.used and _may_be_message(one, facts_by[one.path])]
        short = [] if texts else _short_messages(finds, fields, generic)
        if texts:
            longest = max(texts, key=lambda one: len(one.text))
            finds.take("message", longest, WEAKLY + 5, f"its value is the longest free text ({shown(longest)})")
        elif short:
            finds.take("message", short[-1], WEAKLY + 5, f"its value is the last free text ({shown(short[-1])})")
        elif asked := [one for one, facts in known if facts.is_topic and look.is_sentence(one.text)]:
            finds.take("message", asked[0], WEAKLY + 5, f"its value is a sentence ({shown(asked[0])})")


def _may_be_message(leaf: Leaf, facts: Facts) -> bool:
    if facts.is_owners or facts.is_others or not look.is_prose(leaf.text) or look.is_address(leaf.text):
        return False
    if facts.scores.keys() - {"message"}:
        return False  # its name says something else
    if facts.is_generic or look.UNSPACED.search(leaf.text[:200]):
        return True
    ends = leaf.text.rstrip()[-1:] in SENTENCE_ENDS
    return len(leaf.text[:400].split()) >= 4 - ends and look.is_speech(leaf.text.strip())


def _short_messages(finds: Finds, fields: Sequence[Leaf], generic: Sequence[Leaf]) -> list[Leaf]:
    """Few words in a numbered field: people are asked for their message after their name and address."""
    asked = max((at for at, one in enumerate(fields) if one.path in finds.used), default=-1)
    after = {one.path for one in fields[asked + 1 :]}
    return [one for one in generic if one.path in after and look.is_remark(one.text)]


def _name_by_place(finds: Finds, known: Sequence[tuple[Leaf, Facts]]) -> None:
    """A name unheard of right before the address or the number, with two words or more that begin as names do."""
    ways = {finds.paths[role] for role in ("email", "phone") if role in finds.paths}
    for (leaf, facts), (after, _) in pairwise(known):
        says_nothing = not (facts.scores or facts.is_owners or facts.is_others or facts.is_confirm)
        if says_nothing and leaf.path not in finds.used and after.path in ways and look.is_persons(leaf.text):
            finds.take("name", leaf, WEAKLY + 5, f"its value looks like a name ({shown(leaf)})")
            return


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
