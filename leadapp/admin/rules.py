"""The rules and the mapping of a form: read as sentences, changed as rows or text, tried, saved, kept in versions."""

import difflib
from dataclasses import replace
from typing import Any

from flask import abort, flash, redirect, request, url_for
from flask_admin import BaseView, expose
from sqlalchemy import select

from leadapp.accounts import guard
from leadapp.admin import mapping_rows, rule_draft, rule_trial
from leadapp.admin.guard import Guarded
from leadapp.admin.mapping_rows import MappingRow
from leadapp.admin.rule_draft import AS_TEXT, Fault, Typed
from leadapp.admin.rule_rows import CHECK_WORDS, Row
from leadapp.admin.rule_words import lines, sentences
from leadapp.errors import RulesError
from leadapp.extensions import db
from leadapp.leads import rulesets
from leadapp.leads.models import Form, MappingSource, RulesVersion
from leadapp.rules.mapping import DEFAULT_MAPPING_PATH
from leadapp.rules.pipeline import Plan
from leadapp.rules.ruleset import DEFAULT_RULES

SHOWN_VERSIONS = 50
MORE_ROWS = 3  # at each press of the button
SOURCE_WORDS = {
    MappingSource.NONE: "Nothing: its leads do not go to the customer's API",
    MappingSource.FILE: "By the mapping file of this installation",
    MappingSource.OWN: "By a mapping of its own, below",
}


class RulesView(Guarded, BaseView):  # type: ignore[misc]
    """Which leads of a form are wanted, and what the customer's API gets of them."""

    access = guard.DESK

    @expose("/", methods=("GET", "POST"))
    def index(self) -> Any:
        """The page, and everything that its buttons do but Save."""
        form = _form()
        last = rulesets.newest(form)
        number = last.number if last else 0
        if request.method == "GET":
            return self._editor(form, rule_draft.of_version(last, number))
        typed = rule_draft.posted(request.form)
        do = request.form.get("do", "")
        if do == "edit":
            return self._editor(form, rule_draft.with_rows(typed))
        changed = _changed(typed, do)
        if changed is None:
            return self._try(form, typed)
        return self._editor(form, changed, is_checked=do in ("rows", "map-rows"))

    @expose("/save/", methods=("POST",))
    def save(self) -> Any:
        """Only what was tried just as it is; anything else is tried first."""
        form = _form()
        typed = rule_draft.posted(request.form)
        if request.form.get("mark") != typed.mark:
            return self._try(form, typed)
        try:
            version = rulesets.save_version(form, typed.draft, guard.actor())
        except RulesError as error:
            return self._refused(form, typed, str(error))
        flash(f"Saved as version {version.number}. It holds for every lead from now on.", "success")
        return redirect(_address(form), 303)

    @expose("/version/")
    def version(self) -> Any:
        """An older version, and how the one in force differs from it."""
        form = _form()
        found = _version(form, request.args.get("number", 0, type=int)) or abort(404)
        last = rulesets.newest(form)
        typed = rule_draft.of_version(found, last.number if last else 0)
        plan, faults = rule_draft.check(form, typed)
        return self.render(
            "admin/rules_version.html",
            form=form,
            version=found,
            last=last,
            plan=plan,
            faults=faults,
            said=_said(plan),
            source_words=SOURCE_WORDS,
            changes=differences(found, last) if last and last.number != found.number else [],
            hidden=rule_draft.hidden(replace(typed, note=f"version {found.number} again")),
            address=_address(form),
        )

    def _editor(self, form: Form, typed: Typed, faults: list[Fault] | None = None, *, is_checked: bool = True) -> Any:
        plan, found = rule_draft.check(form, typed) if is_checked else (None, [])
        last = rulesets.newest(form)
        file = rulesets.mapping_file()
        return self.render(
            "admin/rules.html",
            form=form,
            typed=typed,
            faults=[*(faults or []), *found],
            said=_said(plan),
            last=last,
            versions=_versions(form),
            file=file,
            source_words=SOURCE_WORDS,
            check_words=CHECK_WORDS,
            mapping_words=mapping_rows,
            settings=sorted(rulesets.constants()),
            example_rules=DEFAULT_RULES,
            example_mapping=DEFAULT_MAPPING_PATH.read_text(),
            address=_address(form),
        )

    def _try(self, form: Form, typed: Typed) -> Any:
        plan, _ = rule_draft.check(form, typed)
        if plan is None:
            return self._editor(form, typed)
        found = rule_trial.tried(form, plan)
        last = rulesets.newest(form)
        return self.render(
            "admin/rules_try.html",
            form=form,
            typed=typed,
            tried=found,
            changed=sum(one.is_changed for one in found),
            said=_said(plan),
            source_words=SOURCE_WORDS,
            last=last,
            hidden=rule_draft.hidden(typed),
            address=_address(form),
        )

    def _refused(self, form: Form, typed: Typed, reason: str) -> Any:
        """Somebody was quicker: nothing typed is lost, and a second Save goes over theirs on purpose."""
        last = rulesets.newest(form)
        number = last.number if last else 0
        fault = Fault("page", reason)
        return self._editor(form, rule_draft.with_rows(replace(typed, based_on=number)), [fault])


def _form() -> Form:
    key = request.args.get("id", 0, type=int)
    return (db.session.get(Form, key) if 0 < key < 2**31 else None) or abort(404)


def _changed(typed: Typed, do: str) -> Typed | None:
    """What the editor shows after one of its own buttons; None for any other."""
    match do:
        case "add":
            return replace(typed, rows=(*typed.rows, *[Row()] * MORE_ROWS))
        case "text":
            return replace(typed, mode=AS_TEXT)
        case "rows":
            return rule_draft.with_rule_rows(typed)
        case "example":
            return rule_draft.with_rule_rows(replace(typed, rules=DEFAULT_RULES))
        case "map-add":
            return replace(typed, mapping_rows=(*typed.mapping_rows, *[MappingRow()] * MORE_ROWS))
        case "map-text":
            return replace(typed, mapping_mode=AS_TEXT)
        case "map-rows":
            return rule_draft.with_mapping_rows(typed)
        case "map-example":
            example = replace(typed, mapping=DEFAULT_MAPPING_PATH.read_text(), source=MappingSource.OWN)
            return rule_draft.with_mapping_rows(example)
    return None


def _address(form: Form) -> str:
    return url_for("rules.index", id=form.id)


def _version(form: Form, number: int) -> RulesVersion | None:
    query = select(RulesVersion).where(RulesVersion.form_id == form.id, RulesVersion.number == number)
    return db.session.scalar(query) if 0 < number < 2**31 else None


def _versions(form: Form) -> list[RulesVersion]:
    query = select(RulesVersion).where(RulesVersion.form_id == form.id).order_by(RulesVersion.number.desc())
    return list(db.session.scalars(query.limit(SHOWN_VERSIONS)))


def _said(plan: Plan | None) -> dict[str, Any] | None:
    """The plan in sentences."""
    if plan is None:
        return None
    return {"rules": sentences(plan.rules), "mapping": lines(plan.mapping), "is_mapped": plan.mapping is not None}


def differences(older: RulesVersion, newer: RulesVersion) -> list[tuple[str, str]]:
    """Lines that only one of the two has: ("-", line) stands in the older, ("+", line) in the newer."""
    found = []
    for one in ("rules", "mapping"):
        texts = [getattr(version, one).splitlines() for version in (older, newer)]
        found += [(line[0], line[2:]) for line in difflib.ndiff(*texts) if line[0] in "+-"]
    if older.mapping_source is not newer.mapping_source:
        found = [("-", SOURCE_WORDS[older.mapping_source]), ("+", SOURCE_WORDS[newer.mapping_source]), *found]
    return found
