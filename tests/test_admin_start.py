"""The start page, the roles, and what every page has in common."""

import re
from datetime import timedelta

import pytest

from leadapp import clock
from leadapp.accounts.models import RoleName
from leadapp.database import transaction
from leadapp.deliveries import destinations
from leadapp.deliveries.models import DeliveryState, Destination, DestinationState, DisabledBy, Kind
from leadapp.extensions import db
from leadapp.leads.models import LeadStatus
from leadapp.ops.models import Heartbeat

from .desk import Desk, browser
from .factories import add_desk, add_destination, add_form, post_lead, rows_of, the_row

LISTS = ("leads", "needs-you", "forms", "destinations", "deliveries", "attempts", "figures", "audit", "queues")


@pytest.fixture
def desk(app):
    return Desk(app)


def beat(role, seen=timedelta()):
    with transaction():
        db.session.add(Heartbeat(name=f"{role}:host:{seen}", role=role, seen_at=clock.now() - seen))


def received(moment, *leads):
    for lead in leads:
        lead.received_at = moment


def figures(page):
    text = re.sub(r"<[^>]+>", " ", page[page.index('<ul class="figures">') : page.index("figures-note")])
    return re.sub(r"\s+", " ", text)


def row_of(page, name):
    """The figures of one row, each with the words that a phone shows behind it."""
    row = re.search(rf'<th scope="row">(?:<a [^>]*>)?{re.escape(name)}(?:</a>)?</th>(.*?)</tr>', page).group(1)
    return ", ".join(f"{number} {label}" for label, number in re.findall(r'<td data-label="([^"]+)"[^>]*>(\d+)<', row))


def test_an_empty_desk_teaches_the_first_step(desk):
    page = desk.text("/admin/")
    assert "Nobody is told of new leads." in page
    assert "No leads yet" in page
    assert "All leads are where they should be." in page


def test_the_figures_count_today(desk, one_day):
    form = add_desk()[0]
    old, *new = (post_lead(form) for _ in range(4))
    sent, spam, _ = new
    with transaction():
        received(clock.now(), *new)
        received(clock.now() - timedelta(days=2), old)
        sent.status = LeadStatus.DELIVERED
        spam.is_spam = True
    said = figures(desk.text("/admin/"))
    assert "3 received today 1 delivered 8 waiting" in said
    assert "(next try any moment now )" in said or "(next try any moment now)" in said
    assert "1 kept as spam" in said


def test_what_needs_somebody_stands_on_top_with_links(desk):
    form = add_desk()[0]
    row = the_row(post_lead(form), Kind.WEBHOOK)
    with transaction():
        row.state, row.last_error, row.last_status_code = (
            DeliveryState.PERMANENTLY_FAILED,
            "The webhook answered 400",
            400,
        )
    page = desk.text("/admin/")
    assert "1 lead needs you" in page
    assert "webhook: the webhook answered 400." in page
    assert 'href="/admin/needs-you/#cause-1"' in page
    assert "All leads are where" not in page


def test_a_destination_that_is_tried_by_itself_is_a_notice(desk):
    form, _, hook = add_desk()
    post_lead(form)
    with transaction():
        row = db.session.get(Destination, hook.id)
        row.state, row.state_reason = DestinationState.PAUSED, "20 failures in a row"
        row.paused_until = clock.now() + timedelta(minutes=8)
    page = desk.text("/admin/")
    assert "webhook is paused because 20 failures in a row. 1 row waits for it" in page
    assert "Nothing needs you." in page
    assert "1 lead needs you" not in page


def test_a_destination_that_a_person_must_resume_needs_somebody(desk):
    form, _, hook = add_desk()
    post_lead(form)
    destinations.pause(hook.id, "", "test")
    assert "webhook was paused by hand." in desk.text("/admin/")


def test_mail_that_is_not_set_up_is_said(app_with):
    desk = Desk(app_with(mail_backend="none"))
    add_destination(Kind.EMAIL)
    assert "Mail is not set up" in desk.text("/admin/")


def test_nobody_is_told_when_every_mail_is_switched_off(desk):
    row = add_destination(Kind.EMAIL)
    assert "Nobody is told" not in desk.text("/admin/")
    destinations.switch_off(row.id, "", "test")
    assert "Nobody is told of new leads." in desk.text("/admin/")


def test_health_says_who_is_alive(desk):
    assert "No worker runs" in desk.text("/admin/")
    beat("worker")
    beat("worker", timedelta(seconds=5))
    beat("worker", timedelta(minutes=5))
    beat("clock")
    page = desk.text("/admin/")
    assert "workers <strong>2</strong>" in page
    assert "clock <strong>runs</strong>" in page
    assert "No worker runs" not in page


def test_a_lost_redis_is_said_and_breaks_nothing(app_with):
    app = app_with()
    from leadapp import queue

    app.extensions["queue"].redis = queue.connect(
        app.config["SETTINGS"].model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}), 0.3
    )
    assert "Redis does not answer" in Desk(app).text("/admin/")


def test_leads_that_could_not_be_checked_are_listed(desk):
    lead = post_lead(add_form())
    with transaction():
        lead.status, lead.received_at = LeadStatus.RECEIVED, clock.now() - timedelta(hours=1)
    assert "Leads that could not be checked yet." in desk.text("/admin/needs-you/")


# Thirty days
def test_the_bars_show_thirty_days_with_a_table_for_those_who_hear(desk, one_day):
    form = add_desk()[0]
    sent, stuck, rejected, waiting, old = (post_lead(form) for _ in range(5))
    spam = post_lead(form, _gotcha="x")
    with transaction():
        sent.status, stuck.status = LeadStatus.DELIVERED, LeadStatus.PERMANENTLY_FAILED
        rejected.status = LeadStatus.REJECTED
        received(clock.now(), sent, rejected, waiting)
        received(clock.now() - timedelta(days=29), stuck)
        received(clock.now() - timedelta(days=40), spam, old)
    page = desk.text("/admin/")
    assert page.count('class="chart-day"') == 30
    day = clock.now().date()
    said = "3 received, 1 delivered, 1 on the way, 1 not passed on"  # what the rules rejected is on no way
    assert f"<title>{day.day} {day:%b}: {said}</title>" in page
    assert page.count("chart-needs-you-part") == 2  # the bar and the legend
    assert (
        row_of(page, f"{day.day} {day:%b}")
        == "3 received, 1 delivered, 1 on the way, 1 not passed on, 0 needs you, 0 spam"
    )
    assert row_of(page, form.name) == "4 received, 1 delivered, 1 on the way, 1 not passed on, 1 needs you, 0 spam"


def test_the_bars_of_an_empty_desk_are_flat(desk):
    add_form()
    page = desk.text("/admin/")
    assert page.count('class="chart-day"') == 30
    assert page.count("chart-sent-part") == 1


def test_all_is_well_only_when_nothing_waits(desk):
    lead = post_lead(add_desk()[0])
    assert "Nothing needs you." in desk.text("/admin/")
    with transaction():
        for row in rows_of(lead):
            row.state = DeliveryState.DELIVERED
    assert "All leads are where they should be." in desk.text("/admin/")


def test_a_repeat_says_so_and_links_to_the_first(desk):
    form = add_desk()[0]
    first, again = (post_lead(form, message="the same") for _ in range(2))
    assert again.duplicate_of_id == first.id
    link = f'<a href="/admin/leads/{first.id}"><span class="state state-muted">'
    for url in ("/admin/", "/admin/leads/", f"/admin/leads/{again.id}"):
        page = desk.text(url)
        assert link in page, url
        assert "repeats an earlier one" in page, url
    assert "nobody was told a second time" in desk.text(f"/admin/leads/{again.id}")


# Roles
@pytest.mark.parametrize(
    ("role", "shut"),
    [
        (RoleName.OWNER, set()),
        (RoleName.MANAGER, {"queues"}),
        (RoleName.VIEWER, {"forms", "destinations", "attempts", "audit", "queues"}),
        (RoleName.OPS, {"leads", "forms", "destinations"}),
    ],
)
def test_each_role_enters_its_own_pages(app, role, shut):
    desk = Desk(app, role)
    menu = desk.text("/admin/")
    for name in LISTS:
        assert desk.get(f"/admin/{name}/").status_code == (403 if name in shut else 200), name
        assert (f'href="/admin/{name}/"' in menu.split("</nav>")[0]) == (name not in shut), name


def test_ops_sees_no_names_on_the_start_page(app):
    post_lead(add_desk()[0], name="Ada Lovelace")
    assert "Ada Lovelace" not in Desk(app, RoleName.OPS).text("/admin/")


def test_a_stranger_is_asked_to_log_in_everywhere(app):
    client = browser(app)
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/admin") or rule.endpoint.endswith(".static"):
            continue
        url = re.sub(r"<uuid:[^>]+>", "00000000-0000-0000-0000-000000000000", rule.rule)
        url = re.sub(r"<int:[^>]+>", "0", url)
        url = re.sub(r"<[^>]+>", "1", url)
        if "GET" in rule.methods:
            answer = client.get(url)
            assert answer.status_code in (302, 308), (url, answer.status_code)
            assert answer.status_code == 308 or answer.location.startswith("/account/login"), url


def test_every_view_says_who_may_enter(app):
    from leadapp.accounts import guard

    admin = app.extensions["admin"][0]
    for view in admin._views:
        assert view.access, view.endpoint
        assert view.blueprint.access is view.access
    assert app.blueprints["rq_dashboard"].access == guard.OPERATORS
    assert app.blueprints["security"].access is guard.PUBLIC


# What the content security policy asks of every page
def test_no_page_has_inline_handlers_styles_or_scripts(desk):
    form, _, hook = add_desk()
    lead = post_lead(form)
    urls = [f"/admin/{name}/" for name in LISTS] + [
        "/admin/",
        f"/admin/leads/{lead.id}",
        f"/admin/forms/details/?id={form.id}",
        f"/admin/forms/edit/?id={form.id}",
        f"/admin/destinations/details/?id={hook.id}",
        f"/admin/destinations/edit/?id={hook.id}",
        "/admin/destinations/new/",
        f"/admin/deliveries/details/?id={the_row(lead, Kind.EMAIL).id}",
        "/admin/queues/0/view/workers",
        "/admin/queues/0/view/jobs",
        "/account/change",
    ]
    for url in urls:
        page = desk.text(url)
        assert not re.search(r"<[^>]+\s(on[a-z]+|style)\s*=", page), url
        assert "javascript:" not in page, url
        assert not re.search(r"<script(?![^>]*\bsrc=)", page), url
        assert not re.search(r'(src|href)="(https?:)?//(?!localhost|hook\.example)', page), url


def test_what_a_receiver_switched_off_is_named_although_nothing_waits(desk):
    row = add_destination(Kind.WEBHOOK, name="Zapier")
    with transaction():
        found = db.session.get(Destination, row.id)
        found.state, found.disabled_by = DestinationState.DISABLED, DisabledBy.RECEIVER
        found.state_reason = "The webhook answered 410: it is gone"
    assert "Zapier is switched off and gets no new leads: The webhook answered 410" in desk.text("/admin/")
