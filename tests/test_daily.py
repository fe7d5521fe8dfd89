"""Leads by day: sums and what came since make the same figures as counting everything."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from leadapp import clock
from leadapp.database import transaction
from leadapp.extensions import db
from leadapp.leads import daily
from leadapp.leads.models import Form, Lead, LeadCount, LeadStatus
from tests.factories import NOON, add_form


def add_lead(form: Form, days: int = 0, **values: Any) -> Lead:
    with transaction():
        lead = Lead(form_id=form.id, correlation_id="", received_at=NOON - timedelta(days=days), **values)
        db.session.add(lead)
    return lead


def counted() -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    for one in daily.counts(daily.first_day()):
        found[NOON.date() - one.day, one.form_id, one.status, one.is_spam] += one.count
    return found


@pytest.fixture
def forms(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two forms with leads of several days, of which all but the newest three are summed up."""
    monkeypatch.setattr(daily, "NEWEST", 3)
    with clock.frozen(NOON):
        found = [add_form("one"), add_form("two")]
        for form in found:
            for days in (40, 29, 3, 3, 0):
                add_lead(form, days, status=LeadStatus.DELIVERED)
            add_lead(form, 2, is_spam=True)
        yield found


def summed() -> int:
    return db.session.scalar(select(func.sum(LeadCount.leads))) or 0


def test_sums_change_no_figure(forms: list[Form]) -> None:
    before = counted()
    assert sum(before.values()) == 10  # what is older than thirty days does not count
    daily.recount()
    assert summed() >= 6
    assert counted() == before


def test_a_lead_that_came_after_the_sums_counts_at_once(forms: list[Form]) -> None:
    daily.recount()
    before = counted()
    add_lead(forms[0])
    assert counted() - before == {(timedelta(), forms[0].id, LeadStatus.RECEIVED, False): 1}


def test_leads_of_one_moment_are_counted_once(forms: list[Form]) -> None:
    for _ in range(9):
        add_lead(forms[0])
    before = counted()
    daily.recount()
    assert counted() == before


def test_a_change_of_an_older_lead_shows_with_the_next_sums(forms: list[Form]) -> None:
    daily.recount()
    with transaction():
        lead = db.session.scalars(select(Lead).where(Lead.received_at == NOON - timedelta(days=29)).limit(1)).one()
        lead.status = LeadStatus.PERMANENTLY_FAILED
    daily.recount()
    assert counted()[timedelta(days=29), lead.form_id, LeadStatus.PERMANENTLY_FAILED, False] == 1


def test_a_desk_with_few_leads_is_always_counted_anew(forms: list[Form], monkeypatch: pytest.MonkeyPatch) -> None:
    daily.recount()
    monkeypatch.setattr(daily, "NEWEST", 5_000)
    daily.recount()
    assert summed() == 0
    assert sum(counted().values()) == 10


def test_figures_of_fewer_days_leave_out_older_ones(forms: list[Form]) -> None:
    daily.recount()
    assert sum(one.count for one in daily.counts(NOON.date() - timedelta(days=2))) == 4
