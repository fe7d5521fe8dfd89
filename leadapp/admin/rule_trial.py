"""The last real leads run through rules that are not saved yet: what would change for each of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leadapp.deliveries import words
from leadapp.deliveries.words import Words
from leadapp.leads.models import Form, Lead, LeadStatus
from leadapp.leads.rechecking import Outlook, latest_leads, outlook
from leadapp.rules.pipeline import Plan

TRIED = 20
STATUS = {
    LeadStatus.READY: Words("passes", words.SENT, "good"),
    LeadStatus.REJECTED: Words("rejected", words.NOTHING, "muted"),
    LeadStatus.RECEIVED: Words("cannot be checked", words.NEEDS_YOU, "bad"),
}


@dataclass(frozen=True)
class Change:
    """One value of the customer's body that differs; "" where there is none."""

    target: str
    now: str
    then: str


@dataclass(frozen=True)
class Tried:
    """One lead: where it stands by the rules in force and by the new ones, and what the customer would get."""

    lead: Lead
    now: Words
    then: Words
    is_other: bool
    codes_now: Sequence[str]
    codes: Sequence[str]
    said: Sequence[str]
    changes: Sequence[Change]
    left_out: Sequence[str]

    @property
    def is_changed(self) -> bool:
        return self.is_other or bool(self.changes)


def tried(form: Form, plan: Plan) -> list[Tried]:
    """The newest real leads of the form, newest first. Nothing is written."""
    return [_tried(lead, outlook(lead), outlook(lead, plan)) for lead in latest_leads(form, TRIED)]


def _tried(lead: Lead, now: Outlook, then: Outlook) -> Tried:
    codes_now, codes = _codes(now), _codes(then)
    return Tried(
        lead=lead,
        now=STATUS[now.status],
        then=STATUS[then.status],
        is_other=now.status is not then.status or set(codes_now) != set(codes),
        codes_now=codes_now,
        codes=codes,
        said=[str(problem["message"]) for problem in then.problems],
        changes=list(_changes(dict(_flat(now.body)), dict(_flat(then.body)))),
        left_out=[f"{one['target']}: {one['reason']}" for one in then.left_out] if then.body is not None else [],
    )


def _codes(found: Outlook) -> list[str]:
    return list(dict.fromkeys(str(one["code"]) for one in found.problems if one.get("by") == "rules"))


def _changes(now: Mapping[str, str], then: Mapping[str, str]) -> Iterator[Change]:
    for target in dict.fromkeys((*then, *now)):
        if now.get(target) != then.get(target):
            yield Change(target, now.get(target, ""), then.get(target, ""))


def _flat(body: Any, above: str = "") -> Iterator[tuple[str, str]]:
    """`product.name` -> its value as text."""
    if isinstance(body, Mapping):
        for name, value in body.items():
            yield from _flat(value, f"{above}.{name}" if above else str(name))
    elif isinstance(body, list):
        for number, value in enumerate(body, 1):
            yield from _flat(value, f"{above} {number}")
    elif body is not None:
        yield above, {True: "yes", False: "no"}.get(body, str(body)) if isinstance(body, bool) else str(body)
