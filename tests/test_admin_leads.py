"""The list of leads, its export, and the page of one lead."""

import csv
import html
import io
import json
import re
from datetime import timedelta

import pytest
from sqlalchemy import event, select

from leadapp import clock
from leadapp.accounts.models import RoleName
from leadapp.admin.export import safe_cell
from leadapp.database import transaction
from leadapp.deliveries.models import Attempt, AttemptOutcome, DeliveryState, Kind
from leadapp.extensions import db
from leadapp.files.models import Document
from leadapp.leads.models import IntegrationStatus, Lead, LeadStatus

from .desk import Desk
from .factories import add_desk, add_destination, post_lead, rows_of, the_row

SCRIPT = "<img src=x onerror=alert(1)>"


@pytest.fixture
def desk(app):
    return Desk(app)


@pytest.fixture
def form(app):
    return add_desk()[0]


def page_of(lead):
    return f"/admin/leads/{lead.id}"


def settle(row, state, **values):
    with transaction():
        row.state = state
        for name, value in values.items():
            setattr(row, name, value)


def test_an_empty_list_offers_the_snippet(desk, form):
    page = desk.text("/admin/leads/")
    assert "No leads yet" in page
    assert "/f/contact" in page
    assert "data-copy" in page


def test_the_list_shows_who_when_and_where_it_stands(desk, form):
    post_lead(form, name="Ada Lovelace", email="ada@example.com")
    page = desk.text("/admin/leads/")
    assert "Ada Lovelace" in page
    assert "ada@example.com" in page
    assert "just now" in page
    assert "on its way" in page
    assert page.count("waiting</span>") == 2


def test_what_strangers_type_is_shown_as_text(desk, form):
    lead = post_lead(form, name=SCRIPT, message=SCRIPT, page_url="javascript:alert(1)", **{SCRIPT: SCRIPT})
    for url in ("/admin/", "/admin/leads/", "/admin/deliveries/", page_of(lead)):
        page = desk.text(url)
        assert "<img src=x" not in page
        assert 'href="javascript:' not in page


@pytest.mark.parametrize("term", ["lovelace", "ada@example.com", "+49 30", "forty chairs"])
def test_search_finds_name_mail_phone_and_message(desk, form, term):
    post_lead(form, name="Ada Lovelace", email="ada@example.com", phone="+49 30 1234", message="forty chairs please")
    post_lead(form, name="Grace Hopper", email="grace@example.com")
    page = desk.text(f"/admin/leads/?search={term.replace('+', '%2B')}")
    assert "Ada Lovelace" in page
    assert "Grace Hopper" not in page


def test_search_finds_a_lead_by_its_id_and_by_what_its_sender_follows_it_by(desk, form):
    lead = post_lead(form, name="Ada Lovelace")
    post_lead(form, name="Grace Hopper")
    with transaction():
        lead.correlation_id = "order 4711/a"
    for term in (lead.id, str(lead.id).upper(), lead.id.hex, "order 4711/a"):
        page = desk.get("/admin/leads/", query_string={"search": str(term)}).text
        assert "Ada Lovelace" in page, term
        assert "Grace Hopper" not in page, term
    assert "Nothing fits" in desk.text("/admin/leads/?search=order+4711")  # the whole of it, or it is no id


@pytest.mark.parametrize("search", ["%00", "%", "_", "'", "\\", "%ed%a0%80", "a" * 3000])
def test_odd_searches_never_break_the_list(desk, form, search):
    post_lead(form)
    assert desk.get(f"/admin/leads/?search={search}").status_code == 200


@pytest.mark.parametrize("query", ["page=-1", "page=99999999999999999999", "page=x", "sort=99", "sort=-1", "page_size=100000",
    "flt0_where_it_stands_is=nonsense", "flt1_form_is=1%27", "flt0_nonsense_is=1", "flt7_received_from=nonsense",
    "flt_", "flt0"])  # fmt: skip
def test_odd_addresses_never_break_the_list(desk, form, query):
    post_lead(form)
    assert desk.get(f"/admin/leads/?{query}").status_code == 200


def test_filters_narrow_the_list(desk, form):
    ada, grace = post_lead(form, name="Ada"), post_lead(form, name="Grace", email="grace@example.com")
    with transaction():
        ada.status, ada.is_spam, ada.email_status = LeadStatus.DELIVERED, True, IntegrationStatus.SENT
        grace.received_at = clock.now() - timedelta(days=3)
    for query, shown in {
        "flt0_where_it_stands_is=DELIVERED&flt2_spam_is=all": "Ada",
        "flt0_where_it_stands_is=READY": "Grace",
        "flt2_spam_is=yes": "Ada",
        "flt2_spam_is=no": "Grace",
        "flt4_mail_is=sent&flt2_spam_is=all": "Ada",
        f"flt7_received_from={ada.received_at:%Y-%m-%d}&flt2_spam_is=yes": "Ada",
        f"flt8_received_to={ada.received_at - timedelta(days=1):%Y-%m-%d}": "Grace",
        "flt3_test_is=&flt2_spam_is=all&search=ada": "Ada",
    }.items():
        page = desk.text(f"/admin/leads/?{query}")
        hidden = {"Ada": "Grace", "Grace": "Ada"}[shown]
        assert f">{shown}<" in page, query
        assert f">{hidden}<" not in page, query


def test_the_list_asks_for_no_large_columns_and_counts_nothing(desk, form):
    post_lead(form)
    seen = []
    listen = lambda *args: seen.append(args[2])  # noqa: E731
    event.listen(db.engine, "before_cursor_execute", listen)
    desk.text("/admin/leads/")
    event.remove(db.engine, "before_cursor_execute", listen)
    listing = [sql for sql in seen if "FROM lead" in sql and "received_at" in sql]
    assert len(listing) == 1
    for column in ("raw_body", "raw_payload", "lead.headers", "lead.message", "lead.fields"):
        assert column not in listing[0]
    assert not [sql for sql in seen if "count(*) AS count_1 \nFROM lead" in sql]


def link(page, rel):
    found = re.search(rf'rel="{rel}" href="([^"]+)"', page)
    return html.unescape(found.group(1)) if found else None


def names(page):
    return re.findall(r'class="row-link"[^>]*>(Lead \d+)<', page)


def test_pages_go_on_and_back_without_counting(desk, form):
    for number in range(60):
        post_lead(form, name=f"Lead {number:02d}")
    newest_first = [f"Lead {number:02d}" for number in reversed(range(60))]
    first = desk.text("/admin/leads/")
    second = desk.text(link(first, "next"))
    third = desk.text(link(second, "next"))
    assert names(first) + names(second) + names(third) == newest_first
    assert (link(first, "prev"), link(third, "next")) == (None, None)
    assert names(desk.text(link(third, "prev"))) == names(second)
    assert names(desk.text(link(second, "prev"))) == names(first)


def test_leads_of_one_moment_are_neither_lost_nor_shown_twice(desk, form):
    leads = [post_lead(form, name=f"Lead {number:02d}") for number in range(30)]
    with transaction():
        for lead in leads:
            db.session.merge(lead).received_at = leads[0].received_at
    first = desk.text("/admin/leads/")
    second = desk.text(link(first, "next"))
    assert sorted(names(first) + names(second)) == [f"Lead {number:02d}" for number in range(30)]


def test_a_page_before_the_newest_is_the_newest(desk, form):
    for number in range(27):
        post_lead(form, name=f"Lead {number:02d}")
    first = desk.text("/admin/leads/")
    post_lead(form, name="Lead 99")
    second = link(first, "next")
    assert names(desk.text(link(desk.text(second), "prev")))[0] in ("Lead 99", "Lead 26")


def test_the_pager_keeps_search_and_filters(desk, form):
    for number in range(27):
        post_lead(form, name=f"Lead {number:02d}")
    older = link(desk.text("/admin/leads/?search=lead&flt1_form_is=" + str(form.id)), "next")
    assert "search=lead" in older
    assert f"flt1_form_is={form.id}" in older
    assert names(desk.text(older)) == ["Lead 01", "Lead 00"]


@pytest.mark.parametrize("cursor", ["", "x", "_", "2026-11-22T10:00:00Z_x", "2026-11-22T10:00:00_1", "%00_%00",
    "0001-01-01T00:00:00Z_00000000-0000-0000-0000-000000000000", "9999-12-31T23:59:59-23:59_1"])  # fmt: skip
@pytest.mark.parametrize("where", ["leads", "attempts", "audit"])
def test_made_up_cursors_show_the_newest(desk, form, cursor, where):
    post_lead(form)
    for name in ("before", "after"):
        assert desk.get(f"/admin/{where}/?{name}={cursor}").status_code == 200


# Export
def export(desk, query=""):
    answer = desk.get(f"/admin/leads/export/csv/{query}")
    assert answer.status_code == 200
    assert answer.mimetype == "text/csv"
    return list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1", "\u3000=1", "\u200b=1", "\ufeff=1",
     "＝1+1", "＋1", "－1", "＠x", "|calc", "%0A", " ＝1", "−1"],
)  # fmt: skip
def test_a_cell_that_could_be_a_formula_is_text(text):
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "Ada", "3 = 3", "a@b.example", "10 - 4", "Ünïcode", None, 12])
def test_other_cells_stay_as_they_are(text):
    assert safe_cell(text) == ("" if text is None else str(text))


def test_the_export_runs_nowhere_and_keeps_phone_numbers_readable(desk, form):
    lead = post_lead(form, phone="+49 30 1234567", message='line\nbreak, and "quote"')
    with transaction():
        lead.name = '=HYPERLINK("http://evil.example")'
    (row,) = export(desk)
    assert row["Name"] == '\'=HYPERLINK("http://evil.example")'
    assert "+49 30 1234567" in row["Phone"]
    assert row["Message"] == 'line\nbreak, and "quote"'
    assert row["Where it stands"] == "on its way"
    assert all(not value.startswith(("=", "+", "-", "@", "\t", "\r")) for value in row.values())


def test_the_export_follows_search_and_filters(desk, form):
    post_lead(form, name="Ada")
    post_lead(form, name="Grace", email="grace@example.com")
    assert [row["Name"] for row in export(desk, "?search=ada")] == ["Ada"]


def test_the_export_goes_over_its_slices(desk, form, monkeypatch):
    monkeypatch.setattr("leadapp.admin.keyset.EXPORT_SLICE", 2)
    for number in range(5):
        post_lead(form, name=f"Lead {number}")
    assert [row["Name"] for row in export(desk)] == [f"Lead {number}" for number in (4, 3, 2, 1, 0)]


def test_the_export_in_json_is_one_array(desk, form):
    assert desk.get("/admin/leads/export/json/").json == []
    post_lead(form, name="=Ada", message="line\nbreak")
    post_lead(form, name="Grace", _gotcha="spam")
    (row,) = desk.get("/admin/leads/export/json/").json
    assert (row["name"], row["message"], row["status"]) == ("=Ada", "line\nbreak", "on its way")


def test_the_export_of_a_folder_is_that_folder(desk, form):
    post_lead(form, name="Ada")
    post_lead(form, name="Bot", _gotcha="spam")
    assert [row["Name"] for row in export(desk, "?flt2_spam_is=yes")] == ["Bot"]


def test_only_csv_and_json_are_exported(desk, form):
    assert desk.get("/admin/leads/export/xlsx/").status_code == 404


# The page of one lead
def test_the_page_groups_what_is_known(desk, form):
    lead = post_lead(form, name="Ada", phone="+49 30 1", company="Engines Ltd", utm_source="google")
    page = desk.text(page_of(lead))
    for heading in ("Contact", "Message and answers", "Attribution", "Integrations", "Timeline", "Files", "Raw data"):
        assert heading in page
    for words in (
        'href="mailto:ada@example.com"',
        'href="tel:+49301"',
        "company",
        "Engines Ltd",
        "google",
        "waiting to be sent",
    ):
        assert words in page


def test_the_old_address_leads_to_the_page(desk, form):
    lead = post_lead(form)
    assert desk.get(f"/admin/leads/details/?id={lead.id}").location == page_of(lead)


@pytest.mark.parametrize("url", ["/admin/leads/details/?id=nonsense", "/admin/leads/details/", "/admin/leads/nonsense",
    "/admin/leads/00000000-0000-0000-0000-000000000000"])  # fmt: skip
def test_a_lead_that_is_not_there_is_404(desk, form, url):
    assert desk.get(url).status_code == 404


def test_the_status_is_a_sentence(desk, form):
    lead = post_lead(form)
    now = clock.now()
    settle(the_row(lead, Kind.EMAIL), DeliveryState.DELIVERED, sent_at=now)
    settle(
        the_row(lead, Kind.WEBHOOK),
        DeliveryState.FAILED,
        attempts=2,
        next_attempt_at=now + timedelta(minutes=4),
        last_error="The webhook answered 500",
    )
    page = desk.text(page_of(lead))
    assert "Sent to email. webhook: failed twice, next try in 4 minutes." in page
    assert f'<time datetime="{clock.iso(now + timedelta(minutes=4))}"' in page
    assert "The webhook answered 500" in page


def test_the_timeline_tells_attempts_and_audit_in_order(desk, form):
    lead = post_lead(form)
    row = the_row(lead, Kind.WEBHOOK)
    started = lead.received_at
    with transaction():
        db.session.add(
            Attempt(delivery_id=row.id, fence=1, number=1, started_at=started, finished_at=started,
                    outcome=AttemptOutcome.FAILED, status_code=500, error="The webhook answered 500")
        )  # fmt: skip
    desk.confirmed("/admin/deliveries/do/again", rowid=str(row.id))
    page = desk.text(page_of(lead))
    timeline = page[page.index('<ol class="timeline">') :]
    order = [timeline.index(words) for words in ("saved", "the webhook answered 500", "owner@shop.example pressed")]
    assert order == sorted(order)


def test_problems_are_said(desk, form):
    lead = post_lead(form)
    with transaction():
        lead.problems = [{"code": "EMAIL_INVALID", "message": "The address has a spelling mistake."}]
    assert "The address has a spelling mistake." in desk.text(page_of(lead))


def test_the_mail_stands_in_a_frame_that_can_do_nothing(desk, form):
    lead = post_lead(form)
    row = the_row(lead, Kind.EMAIL)
    with transaction():
        row.payload = json.dumps({"subject": "Hi", "text": "plain", "html": "<script>alert(1)</script><p>Hello</p>"})
    assert f'sandbox src="/admin/deliveries/mail/{row.id}"' in desk.text(page_of(lead))
    answer = desk.get(f"/admin/deliveries/mail/{row.id}")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"


def test_a_mail_that_cannot_be_read_breaks_no_page(desk, form):
    lead = post_lead(form)
    row = the_row(lead, Kind.EMAIL)
    for payload in ("", "nonsense", "[]", "{}"):
        settle(row, row.state, payload=payload)
        assert desk.get(page_of(lead)).status_code == 200


def test_files_are_downloads_that_no_browser_runs(desk, form):
    lead, other = post_lead(form), post_lead(form)
    with transaction():
        file = Document(
            lead_id=lead.id, name="página.html", content_type="text/html", size=8, sha256="", content=b"<script>"
        )
        db.session.add(file)
    answer = desk.get(f"{page_of(lead)}/files/{file.id}")
    assert answer.data == b"<script>"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.mimetype == "application/octet-stream"
    assert desk.get(f"{page_of(other)}/files/{file.id}").status_code == 404


def test_the_raw_body_is_a_download_byte_for_byte(desk, form):
    lead = post_lead(form)
    with transaction():
        lead.raw_body = b"name=\xff\x00Ada"
    answer = desk.get(f"{page_of(lead)}/raw")
    assert answer.data == b"name=\xff\x00Ada"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert desk.get(page_of(lead)).status_code == 200


def test_the_page_takes_the_same_queries_however_much_there_is(desk, form):
    def count(url):
        seen = []
        listen = lambda *args: seen.append(args[2])  # noqa: E731
        event.listen(db.engine, "before_cursor_execute", listen)
        desk.text(url)
        event.remove(db.engine, "before_cursor_execute", listen)
        return len(seen)

    few = page_of(post_lead(form))
    for number in range(5):
        add_destination(Kind.WEBHOOK, f"https://hook.example/{number}", name=f"hook {number}")
    many = page_of(post_lead(form))
    assert count(many) == count(few) <= 12


# Nothing here edits a lead
@pytest.mark.parametrize(
    "url", ["/admin/leads/new/", "/admin/leads/edit/?id={id}", "/admin/leads/delete/", "/admin/leads/ajax/update/"]
)
def test_crafted_posts_change_nothing(desk, form, url):
    lead = post_lead(form)
    before = {column.key: getattr(lead, column.key) for column in Lead.__mapper__.column_attrs}
    desk.post(
        url.format(id=lead.id), id=str(lead.id), list_form_pk=str(lead.id), name="HACK", status="DELIVERED",
        email_status="sent", email_attempts="9", webhook_status="sent", crm_status="sent", email_last_error="HACK",
    )  # fmt: skip
    db.session.expire_all()
    after = {column.key: getattr(lead, column.key) for column in Lead.__mapper__.column_attrs}
    assert after == before
    assert len(list(db.session.scalars(select(Lead.id)))) == 1


def test_the_librarys_own_delete_action_is_shut(desk, form):
    lead = post_lead(form)
    desk.post("/admin/leads/action/", action="delete", rowid=str(lead.id))
    assert db.session.get(Lead, lead.id) is not None


# Send again for a selection of leads
def test_a_selection_sends_only_what_did_not_arrive(desk, form):
    ada, grace = post_lead(form), post_lead(form)
    for row in (*rows_of(ada), *rows_of(grace)):
        settle(row, DeliveryState.DELIVERED, sent_at=clock.now())
    failed = the_row(ada, Kind.WEBHOOK)
    settle(failed, DeliveryState.PERMANENTLY_FAILED, last_error="The webhook answered 400", last_status_code=400)
    page = desk.post("/admin/leads/action/", action="again", rowid=[str(ada.id), str(grace.id)]).text
    assert "<strong>1 row</strong>" in page
    assert str(failed.id) in page


def test_a_selection_with_nothing_to_send_says_so(desk, form):
    lead = post_lead(form)
    page = desk.post("/admin/leads/action/", action="again", rowid=str(lead.id)).text
    assert "Nothing to send again" in page


def test_a_viewer_sees_no_buttons_and_crafted_posts_are_refused(app, form):
    lead = post_lead(form)
    settle(the_row(lead, Kind.WEBHOOK), DeliveryState.FAILED)
    viewer = Desk(app, RoleName.VIEWER)
    for url in ("/admin/leads/", page_of(lead)):
        assert "Send again" not in viewer.text(url)
        assert "Export" not in viewer.text(url)
    assert viewer.get("/admin/leads/export/csv/").status_code == 403
    assert viewer.confirmed("/admin/deliveries/do/again", rowid=str(rows_of(lead)[0].id)).status_code == 403


def test_a_day_that_no_calendar_ends_is_left_out(desk):
    assert desk.get("/admin/leads/?flt8_received_to=9999-12-31").status_code == 200
