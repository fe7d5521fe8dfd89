"""The admin's lists on PostgreSQL: every first page, filter, search and next page is answered by an index."""

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, select, text

from benchmarks import lists
from leadapp.accounts.models import RoleName
from leadapp.app import create_app
from leadapp.extensions import db
from leadapp.leads import daily
from leadapp.leads.models import Form, Lead
from tests.conftest import make_settings, use_fakeredis
from tests.desk import Desk
from tests.factories import post_lead

ROWS = 3_000
BIG = ("lead", "delivery", "attempt", "audit_event")
MIDDLE = "before=HALFWAY"  # the names of the tests must be the same in every process, so the time comes later
LEADS = {
    "": "ix_lead_",
    "flt2_spam_is=yes": "ix_lead_spam",
    "flt2_spam_is=all": "ix_lead_received",
    "flt0_where_it_stands_is=PERMANENTLY_FAILED": "ix_lead_status",
    "flt1_form_is=7": "ix_lead_",
    "flt3_test_is=yes": "ix_lead_test",
    "flt4_mail_is=failed": "ix_lead_email_status",
    "flt5_webhook_is=pending": "ix_lead_webhook_status",
    "flt6_crm_is=sent": "ix_lead_crm_status",
    "flt7_received_from=2026-01-01": "ix_lead_",
    MIDDLE: "ix_lead_",
    f"flt0_where_it_stands_is=FAILED&{MIDDLE}": "ix_lead_status",
    "after=HALFWAY": "ix_lead_",
}
OTHERS = {
    "deliveries/": "ix_delivery_created",
    "deliveries/?flt0_state_is=needs-you": "ix_delivery_",
    "deliveries/?flt0_state_is=waiting": "ix_delivery_",
    "deliveries/?flt0_state_is=failed": "ix_delivery_",
    "deliveries/?flt0_state_is=cancelled": "ix_delivery_",
    "deliveries/?flt1_destination_is=2": "ix_delivery_destination",
    "deliveries/?flt2_kind_is=crm": "ix_delivery_kind",
    "deliveries/?flt4_answer_is=401": "ix_delivery_answer",
    f"deliveries/?{MIDDLE}": "ix_delivery_created",
    "attempts/": "ix_attempt_started",
    "attempts/?flt0_outcome_is=permanently_failed": "ix_attempt_outcome",
    "audit/": "ix_audit_event_at",
    "audit/?flt0_to_what_is=form": "ix_audit_event_rare",
    "audit/?flt1_who_is=owner@shop.example": "ix_audit_event_actor",
    "audit/?flt4_row_is=1": "ix_audit_event_subject",
}


@pytest.fixture(scope="module")
def desk(request: Any) -> Iterator[Desk]:
    with lists.database() as address:
        app = create_app(make_settings(database_url=address))
        use_fakeredis(app)
        with app.app_context():
            lists.fill(ROWS)
            yield Desk(app, RoleName.OWNER)
            db.session.remove()
            db.engine.dispose()


@contextmanager
def statements(desk: Desk) -> Iterator[list[tuple[str, Any]]]:
    seen: list[tuple[str, Any]] = []

    def listen(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", listen)
    yield seen
    event.remove(db.engine, "before_cursor_execute", listen)


def halfway() -> str:
    """The place in a list, as the links to its next page have it, that stands in the middle of the rows."""
    return f"{datetime.now(UTC) - timedelta(seconds=30 * ROWS // 2):%Y-%m-%dT%H:%M:%SZ}_{UUID(int=0)}"


def plans(desk: Desk, address: str) -> list[str]:
    """The plan of each statement of a page that reads a big table."""
    with statements(desk) as seen:
        page = desk.text(address.replace("HALFWAY", halfway()))
    assert "<main" in page
    found = []
    db.session.rollback()
    cursor = db.session.connection().connection.cursor()
    cursor.execute("SET enable_seqscan = off")  # a table of three thousand rows is read whole, and rightly
    for statement, parameters in seen:
        if "set_config" in statement:  # the search tells the planner what to leave alone
            cursor.execute(statement, parameters)
        elif "count(*) AS" not in statement and re.match(rf"(?s)(SELECT|WITH).*FROM ({'|'.join(BIG)})\b", statement):
            cursor.execute(f"EXPLAIN {statement}", parameters)
            found.append("\n".join(row[0] for row in cursor.fetchall()))
    cursor.execute("RESET enable_seqscan")
    db.session.rollback()
    return found


def listed(desk: Desk, address: str) -> str:
    """The plan of the list itself, the one that ends with a LIMIT and reads in the order of the list."""
    found = [plan for plan in plans(desk, address) if plan.startswith("Limit")]
    assert found, address
    return found[0]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("query", LEADS)
def test_leads_are_read_in_the_order_of_an_index(desk: Desk, query: str) -> None:
    plan = listed(desk, f"/admin/leads/?{query}")
    assert LEADS[query] in plan, plan
    assert "Sort" not in plan, plan


@pytest.mark.parametrize(
    "query",
    [
        "flt1_form_is=1&flt0_where_it_stands_is=PERMANENTLY_FAILED",
        "flt1_form_is=7&flt4_mail_is=failed",
        "flt1_form_is=7&flt5_webhook_is=failed",
        "flt1_form_is=7&flt2_spam_is=yes",
        "flt0_where_it_stands_is=FAILED&flt7_received_from=2026-01-01",
    ],
)
def test_two_filters_are_both_compared_inside_the_index(desk: Desk, query: str) -> None:
    plan = listed(desk, f"/admin/leads/?{query}")
    assert "Index Cond" in plan, plan
    assert not re.search("Filter|Sort", plan), plan


@pytest.mark.parametrize("address", OTHERS)
def test_the_other_lists_are_read_by_an_index(desk: Desk, address: str) -> None:
    plan = "\n".join(plans(desk, f"/admin/{address}"))
    assert OTHERS[address] in plan, plan
    assert not re.search(rf"Seq Scan on ({'|'.join(BIG)})\\b", plan), plan


def lookups(desk: Desk, address: str) -> list[str]:
    """The plans of the statements of a search that ask for words."""
    return [plan for plan in plans(desk, address) if re.search(r"to_tsvector|\.fits", plan)]


def test_a_search_for_few_asks_the_index_of_words(desk: Desk) -> None:
    some = db.session.execute(text("SELECT name, email, phone FROM lead WHERE NOT is_spam LIMIT 1")).one()
    for words in (some.email[:-9], some.email, some.name, some.phone.replace("+", "%2B")):
        found = lookups(desk, f"/admin/leads/?search={words}")
        assert found, words
        assert all("Bitmap Index Scan on ix_lead_words" in plan for plan in found), found
        assert some.email in html.unescape(desk.text(f"/admin/leads/?search={words}")), words


def test_the_last_word_is_compared_with_the_rows_that_the_others_leave(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadapp.admin.finding.MANY", 900)  # `exa` begins a word of each lead, the rest is rare
    some = db.session.execute(text("SELECT email FROM lead WHERE NOT is_spam LIMIT 1")).one()
    (plan,) = lookups(desk, f"/admin/leads/?search={some.email[:-4]}")
    asked = next(line for line in plan.splitlines() if "Index Cond" in line)
    assert ":*" not in asked, plan
    assert "IS TRUE" in plan, plan
    assert some.email in html.unescape(desk.text(f"/admin/leads/?search={some.email[:-4]}"))


def test_a_search_for_many_walks_the_list(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leadapp.admin.finding.MANY", 10)
    (plan,) = lookups(desk, "/admin/leads/?search=example")
    assert "Index Scan Backward using ix_lead_received" in plan, plan
    assert "Sort" not in plan, plan


def test_an_id_is_looked_up_in_indexes_alone(desk: Desk) -> None:
    lead = post_lead(db.session.scalars(select(Form).limit(1)).one(), email="followed@mail.example")
    for words in (str(lead.id), lead.correlation_id):
        (plan,) = lookups(desk, f"/admin/leads/?search={words}")
        assert "Bitmap Index Scan on ix_lead_correlation_id" in plan, plan
        assert names_on(desk.text(f"/admin/leads/?search={words}")) == [str(lead.id)]
        assert len(desk.get(f"/admin/leads/export/json/?search={words}").json) == 1


def names_on(page: str) -> list[str]:
    return re.findall(r'href="/admin/leads/([0-9a-f-]{36})"', page)


@pytest.mark.parametrize("words", ["example", "mail.exam", "ba", "lale", "forty chairs"])
@pytest.mark.parametrize("many", [5_000, 10])
def test_each_way_finds_the_same_page_after_page(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, words: str, many: int
) -> None:
    monkeypatch.setattr("leadapp.admin.finding.MANY", many)
    monkeypatch.setattr("leadapp.admin.finding.NEWEST", ROWS + 10)
    column = Lead.message if "chairs" in words else Lead.name + " " + Lead.email
    starts = [column.regexp_match(rf"\m{word}", flags="i") for word in words.replace(".", " ").split()]
    expected = db.session.scalars(
        select(Lead.id).where(~Lead.is_spam, *starts).order_by(Lead.received_at.desc(), Lead.id.desc()).limit(75)
    )
    wanted, address, seen = [str(key) for key in expected], f"/admin/leads/?search={words}", []
    assert wanted
    for _ in range(3):
        page = desk.text(address)
        seen += names_on(page)
        if not (older := re.findall(r'rel="next" href="([^"]+)"', page)):
            break
        address = html.unescape(older[0])
    assert seen == wanted
    if newer := re.findall(r'rel="prev" href="([^"]+)"', page):
        assert names_on(desk.text(html.unescape(newer[0]))) == wanted[25:50]


@pytest.mark.parametrize("words", ["'", "\\", "&|!:*()", "a'b", "%", "ö", "💥", "<->", "a & b", "--", "a" * 5000, "@@"])
def test_odd_words_break_no_search(desk: Desk, words: str) -> None:
    assert desk.get("/admin/leads/", query_string={"search": words}).status_code == 200


def test_words_of_a_message_are_found_where_no_name_fits(desk: Desk) -> None:
    assert len(re.findall("row-link", desk.text("/admin/leads/?search=forty+chairs"))) == 25


def test_a_name_of_a_megabyte_costs_no_lead(desk: Desk) -> None:
    form = db.session.scalars(select(Form).limit(1)).one()
    lead = post_lead(
        form, name=" ".join(f"word{number}" for number in range(100_000))[:1_000_000], email="e@mail.example"
    )
    assert lead.id


def test_an_export_reads_by_a_cursor_of_the_database(desk: Desk) -> None:
    with statements(desk) as seen:
        rows = desk.get("/admin/leads/export/json/?flt2_spam_is=all").json
    assert len(rows) >= ROWS
    assert len([one for one, _ in seen if "FROM lead" in one]) == 1


def test_the_index_of_words_is_what_the_migration_makes(desk: Desk) -> None:
    made = db.session.scalar(text("SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_lead_words'"))
    assert "to_tsvector" in made


def counting(desk: Desk, words: str) -> str:
    """The plan of the start page's statement that holds these words."""
    with statements(desk) as seen:
        desk.text("/admin/")
    statement, parameters = next(one for one in seen if words in one[0])
    cursor = db.session.connection().connection.cursor()
    cursor.execute("SET LOCAL enable_seqscan = off")
    cursor.execute(f"EXPLAIN {statement}", parameters)
    plan = "\n".join(row[0] for row in cursor.fetchall())
    db.session.rollback()
    return plan


def test_the_days_are_counted_over_an_index_alone(desk: Desk) -> None:
    plan = counting(desk, "date(lead.received_at)")
    assert "Index Only Scan using ix_lead_received" in plan, plan


def test_what_was_summed_up_and_what_came_since_make_the_same_figures(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadapp.leads.daily.NEWEST", 700)
    counted = figures(desk)
    daily.recount()
    assert db.session.scalar(text("SELECT sum(leads) FROM lead_count")) >= ROWS - 701
    assert figures(desk) == counted
    post_lead(db.session.scalars(select(Form).limit(1)).one(), email="late@mail.example")
    assert figures(desk) != counted
    daily.recount()  # a second run finds the first one's sums, and replaces them
    db.session.execute(text("DELETE FROM lead_count"))
    db.session.commit()


def figures(desk: Desk) -> str:
    return desk.text("/admin/").partition("The last 30 days")[2].partition("Latest leads")[0]


def test_the_oldest_row_that_waits_is_found_by_one_look_at_the_index(desk: Desk) -> None:
    plan = counting(desk, "min(delivery.next_attempt_at)")
    assert plan.count("Limit") == 2, plan
    assert "ix_delivery_destination_underway" in plan, plan
