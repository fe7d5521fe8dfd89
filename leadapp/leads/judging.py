"""What a form makes of a post: its fields understood, then its rules and mapping run. No database, nothing written.

Everything runs inside a guard: a bug or a time-out never costs the lead, which then stays RECEIVED (design.md, 4).
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from leadapp.deliveries.frozen import FrozenBody
from leadapp.errors import RulesError
from leadapp.leads import mailboxes, names
from leadapp.leads.field_payload import unwrap
from leadapp.leads.fields import Understood, as_text, understand
from leadapp.leads.models import Form, LeadStatus
from leadapp.leads.rulesets import Ruling
from leadapp.rules import pipeline
from leadapp.rules.checks import TOO_SLOW
from leadapp.rules.paths import DEEPEST, path_of, value_at
from leadapp.rules.pipeline import Outcome, Plan

ROLES = ("email", "name", "phone", "message")
BROKEN = "PIPELINE"
BY_RULES = {"by": "rules"}  # marks the problems of a lead that made it rejected
Problem = dict[str, str]
Answer = tuple[str, Any, tuple[str, ...]]  # its dotted name, its value, the steps that lead to it


@dataclass(frozen=True)
class Verdict:
    """What became of one post. `understood` is None when not even its fields could be read.

    `status` is READY, REJECTED, or RECEIVED when something broke (`fault`). `tree` holds the fields, normalised;
    `answers` what the lead shows beside its e-mail, name, phone and message, which are in `understood`.
    """

    status: LeadStatus
    understood: Understood | None = None
    problems: tuple[Problem, ...] = ()
    tree: Mapping[str, Any] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    mapped: dict[str, Any] | None = None
    body: FrozenBody | None = None
    version: str = ""
    fault: Exception | None = None


def judge(form: Form, payload: Mapping[str, Any], page: str, ruling: Ruling) -> Verdict:
    """Understand the fields of a payload, then run the form's plan on them."""
    understood: Understood | None = None
    answers: list[Answer] | None = None
    try:
        understood = understand(payload, form.honeypot, page, form.pinned_fields)
        typed: list[Answer] = [(place, text, ()) for place, text in mailboxes.settle(understood).items()]
        answers = [*typed, *_flat(understood.answers, {place for place, _, _ in typed})]
        if ruling.fault is not None:
            raise ruling.fault
        tree = _tree(payload, understood, form.pinned_fields or {})
        outcome = _run(tree, ruling.plan)
        if not ruling.is_bare:
            _normalise(understood, tree, outcome)
            answers = [
                (name, _normalised(value, value_at(outcome.fields, path)) if path else value, path)
                for name, value, path in answers
            ]
        return _decided(understood, answers, outcome, ruling.name)
    except Exception as error:  # noqa: BLE001 - whatever it is, the lead is kept and the caller logs it
        if answers is None:
            answers = [(name, as_text(value), ()) for name, value in payload.items() if not name.startswith("_")]
        return _broken(understood, answers, error)


def _broken(understood: Understood | None, answers: Sequence[Answer], fault: Exception) -> Verdict:
    """What can be said all the same."""
    said = str(fault) if isinstance(fault, RulesError) else f"{type(fault).__name__}."
    message = f"The rules of the form could not be run, and are tried again. {said}"
    if understood is None:
        message = f"The fields could not be read: {said}"
    problem = {"code": BROKEN, "field": "", "message": message}
    return Verdict(LeadStatus.RECEIVED, understood, (problem,), answers=_shown(answers), fault=fault)


def _run(tree: Mapping[str, Any], plan: Plan) -> Outcome:
    """A pattern that ran out of time has not said no: nobody is rejected by it."""
    outcome = pipeline.run(tree, plan)
    for problem in outcome.problems:
        if problem.code == TOO_SLOW:
            raise RulesError(problem.message)
    return outcome


def _decided(understood: Understood, answers: Sequence[Answer], outcome: Outcome, version: str) -> Verdict:
    mapped = None if outcome.problems else outcome.mapped
    return Verdict(
        status=LeadStatus.REJECTED if outcome.problems else LeadStatus.READY,
        understood=understood,
        problems=tuple(problem.as_dict() | BY_RULES for problem in outcome.problems),
        tree=outcome.fields,
        answers=_shown(answers),
        mapped=mapped,
        body=None if mapped is None else _body(mapped, outcome, version),
        version=version,
    )


def _shown(answers: Iterable[Answer]) -> dict[str, Any]:
    return {name: value for name, value, _ in answers}


def _body(mapped: Mapping[str, Any], outcome: Outcome, version: str) -> FrozenBody:
    """The exact bytes that the customer's API gets."""
    text = json.dumps(mapped, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return FrozenBody(text, version, [one.as_dict() for one in outcome.left_out])


def _tree(payload: Mapping[str, Any], understood: Understood, pinned: Mapping[str, str]) -> dict[str, Any]:
    """The payload by paths, what hangs below its one wrapper too, and what was found where no field has that name."""
    tree = names.nested(payload)
    for root in (names.nested(unwrap(payload)), *list(names.roots(tree))[1:]):
        for name, value in root.items():
            tree.setdefault(name, value)
    found = {role: getattr(understood, role) for role in ROLES} | understood.name_parts
    for role, text in found.items():
        if not text or (role not in pinned and as_text(value_at(tree, (role,)))):
            continue
        if isinstance(tree.get(role), dict):
            tree[role] = {**tree[role], "": text}
        else:
            tree[role] = text
    return tree


def _normalise(understood: Understood, tree: Mapping[str, Any], outcome: Outcome) -> None:
    """The lead's own columns too, where the field of that name is the one that was found."""
    for role in ("email", "phone"):
        normal = value_at(outcome.fields, (role,))
        is_it = as_text(value_at(tree, (role,))).strip() == getattr(understood, role).strip()
        if is_it and isinstance(normal, str) and normal:
            setattr(understood, role, normal)


def _normalised(value: Any, normal: Any) -> Any:
    """The normal form of an answer, unless its path means another value too."""
    return value if normal is None or isinstance(normal, list | dict) != isinstance(value, list | dict) else normal


def _flat(answers: Mapping[str, Any], taken: Iterable[str] = ()) -> Iterator[Answer]:
    """Nested answers under dotted names; those in `taken` belong to others."""
    seen = set(taken)
    for name, value in answers.items():
        for steps, leaf in _leaves(value):
            path = (*path_of(name), *steps)
            dotted = ".".join((name, *filter(None, steps)))
            while dotted in seen:
                dotted += "."  # `a.b` beside {"a": {"b": ...}}: both are shown
            seen.add(dotted)
            yield dotted, leaf, path


def _leaves(value: Any, steps: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and len(steps) < DEEPEST:
        for name, one in value.items():
            yield from _leaves(one, (*steps, str(name)))
    elif as_text(value):
        yield steps, value
