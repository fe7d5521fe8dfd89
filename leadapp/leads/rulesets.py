"""The rules and the mapping that are in force for a form: compiled once, followed without a restart.

Which version is the newest comes with the form's own row (Form.newest_rules_id), so a post costs no statement more.
"""

from dataclasses import dataclass, field

from flask import current_app
from sqlalchemy import func, select

from leadapp.audit import record
from leadapp.clock import db_now
from leadapp.config import settings
from leadapp.database import insert_into, transaction
from leadapp.errors import RulesError
from leadapp.extensions import db
from leadapp.leads.mapping_file import InForce, MappingFile
from leadapp.leads.models import Form, MappingCopy, MappingSource, RulesVersion
from leadapp.rules.mapping import AttributeMapping, read_mapping
from leadapp.rules.pipeline import Plan
from leadapp.rules.ruleset import Ruleset, read_rules

MOST_KEPT = 500  # compiled versions that a process keeps


@dataclass(frozen=True)
class Draft:
    """Rules and mapping that somebody wants to save; `based_on` is the number of the version they started from."""

    rules: str
    mapping_source: MappingSource = MappingSource.NONE
    mapping: str = "{}"
    note: str = ""
    based_on: int | None = None


@dataclass(frozen=True)
class Ruling:
    """A plan and its version's name, or why it cannot be used. A bare one asks nothing of leads: they stay as typed."""

    plan: Plan = field(default_factory=Plan)
    name: str = ""
    fault: RulesError | None = None

    @property
    def is_bare(self) -> bool:
        return not self.plan.rules.rules and self.plan.mapping is None and not self.plan.country


@dataclass(frozen=True)
class _Compiled:
    """A saved version, read. Versions never change, so this holds for ever."""

    number: int
    rules: Ruleset
    source: MappingSource
    own: AttributeMapping | None


@dataclass
class _Known:
    """What one process has compiled."""

    file: MappingFile
    versions: dict[int, _Compiled] = field(default_factory=dict)
    copied: str = ""


def plan_of(form: Form) -> tuple[Plan, str]:
    """What the form does with a lead, and the name of that version; RulesError when it cannot be used."""
    if form.newest_rules_id is None:
        return Plan(country=form.country), ""
    found = _compiled(form.newest_rules_id)
    name = f"v{found.number}"
    if found.source is not MappingSource.FILE:
        return Plan(found.rules, found.own, form.country), name
    in_force = _in_force()
    return Plan(found.rules, in_force.mapping, form.country), f"{name}, file {in_force.digest[:8]}"


def plan_of_draft(form: Form, draft: Draft) -> Plan:
    """The same for texts that are not saved; RulesError says what is wrong, in which line."""
    rules, mapping = read_rules(draft.rules), None
    if draft.mapping_source is MappingSource.OWN:
        mapping = read_mapping(draft.mapping, constants())
    elif draft.mapping_source is MappingSource.FILE:
        mapping = _in_force().mapping
    return Plan(rules, mapping, form.country)


def ruling_of(form: Form) -> Ruling:
    """The same without an error, for leads that must not be lost over it."""
    try:
        return Ruling(*plan_of(form))
    except RulesError as error:
        return Ruling(fault=error)


def constants() -> dict[str, str]:
    """The settings that a mapping may send."""
    return {"CUSTOMER_PRODUCT_NAME": settings().customer_product_name}


def newest(form: Form) -> RulesVersion | None:
    """The version in force, with its texts."""
    query = select(RulesVersion).where(RulesVersion.form_id == form.id)
    return db.session.scalar(query.order_by(RulesVersion.number.desc()).limit(1))


def save_version(form: Form, draft: Draft, actor: str) -> RulesVersion:
    """Keep a new version, in force from the next lead on. RulesError when it is faulty, or somebody saved meanwhile."""
    plan_of_draft(form, draft)
    with transaction():
        db.session.execute(select(Form.id).where(Form.id == form.id).with_for_update(key_share=True))
        highest = select(func.max(RulesVersion.number)).where(RulesVersion.form_id == form.id)
        last = db.session.scalar(highest) or 0
        if draft.based_on is not None and draft.based_on != last:
            raise RulesError(f"Somebody saved version {last} meanwhile. Look at it, then save yours again.")
        version = RulesVersion(
            form_id=form.id,
            number=last + 1,
            rules=draft.rules,
            mapping_source=draft.mapping_source,
            mapping=draft.mapping,
            note=draft.note[:200],
            made_by=actor[:255],
        )
        db.session.add(version)
        db.session.flush()
        record(form, "rules saved", actor, version=version.number, mapping=str(draft.mapping_source))
    if form in db.session:
        db.session.expire(form, ["newest_rules_id"])
    return version


def _compiled(version_id: int) -> _Compiled:
    versions = _known().versions
    if version_id in versions:
        return versions[version_id]
    row = db.session.get_one(RulesVersion, version_id)
    is_own = row.mapping_source is MappingSource.OWN
    own = read_mapping(row.mapping, constants()) if is_own else None
    found = _Compiled(row.number, read_rules(row.rules), row.mapping_source, own)
    if len(versions) >= MOST_KEPT:
        versions.clear()
    versions[version_id] = found
    return found


def _known() -> _Known:
    found: _Known | None = current_app.extensions.get("rulesets")
    if found is None:
        file = MappingFile(settings().attribute_mapping_path, constants())
        found = current_app.extensions.setdefault("rulesets", _Known(file))
    return found


def _in_force() -> InForce:
    """The file's last good version: as this process read it, else as the database keeps it."""
    file = _known().file
    found = file.look()
    if found is None:
        newest_copy = select(MappingCopy.text).order_by(MappingCopy.seen_at.desc(), MappingCopy.id.desc()).limit(1)
        text = db.session.scalar(newest_copy)
        if text is None:
            raise RulesError(mapping_fault())
        found = file.fall_back(text)
    return found


def mapping_file() -> MappingFile:
    """ATTRIBUTE_MAPPING_PATH as this process knows it, looked at just now."""
    file = _known().file
    file.look()
    return file


def mapping_fault() -> str:
    """What is wrong with the file now, in a sentence; "" when nothing is."""
    return mapping_file().fault


def keep_copy() -> bool:
    """Periodic: keep the file's good text in the database, for processes that start while the file is broken."""
    known = _known()
    found = known.file.look()
    if found is None or found.is_copy or known.copied == found.digest:
        return False
    now = db_now()
    row = insert_into(MappingCopy).values(digest=found.digest, text=found.text, seen_at=now)
    with transaction():
        db.session.execute(row.on_conflict_do_update(index_elements=["digest"], set_={"seen_at": now}))
    known.copied = found.digest
    return True
