"""A look at rejected leads says what letting them in does, lead by lead and row by row, and writes nothing."""

from collections.abc import Sequence
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, select

from leadapp.audit import AuditEvent
from leadapp.columns import new_id
from leadapp.database import transaction
from leadapp.deliveries.models import Delivery, DeliveryState, Kind
from leadapp.deliveries.replay_choice import Foreseen
from leadapp.extensions import db
from leadapp.leads import duplicates, foreseeing, rulesets
from leadapp.leads.models import Form, Lead, LeadStatus, MappingSource
from leadapp.leads.rechecking import A_COPY, GONE, readmit
from leadapp.leads.rulesets import Draft
from tests.factories import add_destination, add_form, post_lead

NO = '[{"code": "ZIP", "field": "zip", "check": "pattern", "pattern": "66..."}]'
PHONED = '{"phone": {"from": "phone", "required": true}}'


@pytest.fixture
def form(app: Flask) -> Form:
    found = add_form("gateway", country="DE", person_keys=["email"])
    add_destination(Kind.CRM, "https://api.example/leads", name="Customer")
    rulesets.save_version(found, Draft(NO, MappingSource.OWN, PHONED), "owner")
    return found


def rejected(form: Form, count: int = 1, **fields: str) -> list[UUID]:
    found = []
    for number in range(count):
        given = {"zip": "12345", "phone": f"030 55501{number:02}", "email": f"{number}@example.com", "message": ""}
        found.append(post_lead(form, **given | fields).id)
    return found


def mend(form: Form, rules: str = "[]", mapping: str = PHONED) -> None:
    rulesets.save_version(form, Draft(rules, MappingSource.OWN, mapping), "owner")


def really(ids: Sequence[UUID]) -> Foreseen:
    """What readmit does: the destinations of new rows that wait to go, and why others stay."""
    with transaction():
        done = readmit(ids)
        where: dict[UUID, list[int]] = {one: [] for one in ids if one not in done.refused}
        for row in done.rows:
            if row.state is not DeliveryState.CANCELLED:
                where[row.lead_id].append(row.destination_id)
        return Foreseen(where, done.refused)


def count_rows() -> list[int]:
    return [db.session.scalar(select(func.count()).select_from(one)) or 0 for one in (Lead, Delivery, AuditEvent)]


def test_it_says_what_letting_them_in_does(form: Form) -> None:
    ids = [*rejected(form, 3), *rejected(form, zip="99999", email="other@example.com"), new_id()]
    mend(form, NO.replace("66...", "12345"))
    before = count_rows()
    seen = foreseeing.foresee(ids)
    assert count_rows() == before
    assert [len(seen.where), sorted(seen.refused.values())] == [3, sorted([GONE, "today's rules reject it: ZIP"])]
    assert really(ids) == seen


def test_of_two_leads_of_one_person_one_goes(form: Form) -> None:
    ids = rejected(form, 2, email="same@example.com")
    mend(form)
    seen = foreseeing.foresee(ids)
    assert (list(seen.where), seen.refused) == ([ids[0]], {ids[1]: duplicates.SPARED})
    assert really(ids) == seen


def test_copies_stay_and_so_do_leads_of_somebody_who_is_known(form: Form) -> None:
    first = rejected(form)
    copy = rejected(form)  # the same content
    mend(form)
    post_lead(form, zip="1", phone="030 5550177", email="known@example.com")
    db.session.rollback()
    mend(form, NO)
    late = rejected(form, phone="030 5550178", email="known@example.com")
    mend(form)
    ids = [*first, *copy, *late]
    seen = foreseeing.foresee(ids)
    assert seen.refused == {copy[0]: A_COPY, late[0]: duplicates.SPARED}
    assert really(ids) == seen


def test_who_was_told_already_is_not_told_again(form: Form) -> None:
    """The owner got a mail about the first, which was rejected; the form keeps quiet about the second."""
    mail = add_destination(Kind.EMAIL, "owner@shop.example", name="Mail")
    told = rejected(form)
    with transaction():
        db.session.merge(form).tells_rejected = False
    untold = rejected(form, email="quiet@example.com", phone="030 5550155")
    mend(form)
    seen = foreseeing.foresee([*told, *untold])
    assert [mail.id in seen.where[one] for one in (*told, *untold)] == [False, True]
    assert really([*told, *untold]) == seen


def test_without_a_mapping_nothing_goes_to_the_customer(form: Form) -> None:
    ids = rejected(form)
    rulesets.save_version(form, Draft("[]"), "owner")
    assert foreseeing.foresee(ids).where == {ids[0]: []}
    assert db.session.get_one(Lead, ids[0]).status is LeadStatus.REJECTED
    assert really(ids).where == {ids[0]: []}
