"""What a form asks for in several boxes: `tel1` to `tel3`, or an address before and behind its @."""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from leadapp.leads.field_facts import LONGEST_NAME_OF_A_FIELD, facts_of
from leadapp.leads.field_payload import Leaf, Path

NUMBER = re.compile(r"[\[._-]?(?:\d|area|prefix|exchange|line|phone)\]?$", re.IGNORECASE)
BOX = re.compile(r"\+?\d{1,8}")
LISTED = re.compile(r"\d{2,5}(?:, \d{2,5}){1,3}")
LOCAL, DOMAIN = re.compile(r"[\w.+-]{1,64}"), re.compile(r"(?:[\w-]{1,63}\.){1,4}[a-z]{2,24}", re.IGNORECASE)
MOST = 4  # boxes of one number
DIGITS = range(8, 16)

Together = tuple[list[Leaf], dict[Path, list[Path]]]


def together(fields: Sequence[Leaf]) -> Together:
    """The fields with boxes joined where the first one stood; and for these the paths of the other boxes."""
    stems = [_stem(one) for one in fields]
    if not any(stems) and not any(one.is_list for one in fields):
        return list(fields), {}
    kept: list[Leaf] = []
    rests: dict[Path, list[Path]] = {}
    at = 0
    while at < len(fields):
        end = at + 1
        stem = stems[at] or fields[at].path  # the first box is often without a number: `tel`, `tel2`
        while end < min(at + MOST, len(fields)) and stems[end] == stem:
            end += 1
        text, count = _joined(fields[at:end])
        kept.append(replace(fields[at], text=text) if text else fields[at])
        if count > 1:
            rests[fields[at].path] = [one.path for one in fields[at + 1 : at + count]]
        at += count
    return kept, rests


def _stem(leaf: Leaf) -> Path:
    """The name without the number of its box; () for a name without one."""
    stem = _without_number(leaf.path[-1][:LONGEST_NAME_OF_A_FIELD])
    if stem is None or len(leaf.text) > 64:
        return ()
    return (*leaf.path[:-1], stem) if stem or len(leaf.path) > 1 else ()


@lru_cache(maxsize=4096)
def _without_number(name: str) -> str | None:
    cut = NUMBER.search(name)
    return None if cut is None else name[: cut.start()]


def _joined(boxes: Sequence[Leaf]) -> tuple[str, int]:
    """The text of these boxes together and how many went into it: ("", 1) where they are fields of their own."""
    first = boxes[0]
    if first.is_list and LISTED.fullmatch(first.text) and _means("phone", first):
        return first.text.replace(", ", "-"), 1
    if len(boxes) == 1:
        return "", 1
    texts = [text for one in boxes for text in (one.text.split(", ") if one.is_list else [one.text.strip()])]
    is_pair = not first.is_list and not boxes[1].is_list
    if is_pair and LOCAL.fullmatch(texts[0]) and DOMAIN.fullmatch(texts[1]) and _means("email", first):
        return f"{texts[0]}@{texts[1]}", 2
    is_number = all(map(BOX.fullmatch, texts)) and len("".join(texts)) in DIGITS and min(map(len, texts)) <= MOST
    if is_number and max(map(len, texts[:-1])) <= MOST + 1 and _means("phone", first):
        return "-".join(texts), len(boxes)
    return "", 1


def _means(role: str, leaf: Leaf) -> bool:
    return facts_of(leaf.path).scores.get(role, 0) > 0
