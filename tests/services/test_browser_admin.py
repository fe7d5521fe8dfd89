"""Every page of the admin in a real browser, at both widths: axe-core finds nothing serious, the console is clean."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import axe_core_python
import pytest

from tests.services.test_browser import (
    WIDTHS,
    Desk,
    Visitor,
    browser,
    desk,
    log_in,
    send_a_lead,
    wait_for,
    whole_receiver,
)

__all__ = ["browser", "desk", "whole_receiver"]  # fixtures

AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text()
RUN = "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then(done, (e) => done({error: `${e}`}));"
PAGES = {
    "start": "/admin/",
    "leads": "/admin/leads/",
    "leads-filtered": "/admin/leads/?search=ada&flt1_form_is=1",
    "spam": "/admin/leads/?flt2_spam_is=yes",
    "lead": "lead",
    "needs-you": "/admin/needs-you/",
    "forms": "/admin/forms/",
    "form": "/admin/forms/details/?id=1",
    "form-new": "/admin/forms/new/",
    "form-edit": "/admin/forms/edit/?id=1",
    "rules": "/admin/forms/rules/?id=2",
    "rules-version": "/admin/forms/rules/version/?id=2&number=1",
    "senders": "/admin/forms/senders/?id=2",
    "replays": "/admin/replays/",
    "replay-new": "/admin/replays/new/",
    "migrate": "/admin/forms/migrate",
    "destinations": "/admin/destinations/",
    "destination": "/admin/destinations/details/?id=1",
    "destination-new": "/admin/destinations/new/",
    "deliveries": "/admin/deliveries/",
    "attempts": "/admin/attempts/",
    "figures": "/admin/figures/",
    "docs": "/docs",
    "audit": "/admin/audit/",
}
QUEUE_PAGES = {
    "queues": "/admin/queues/0/view/queues",
    "jobs": "/admin/queues/0/view/jobs/notifications/finished/10/asc/1",
    "workers": "/admin/queues/0/view/workers",
}


def serious(visitor: Visitor) -> list[tuple[Any, ...]]:
    """What axe-core calls serious or critical on the page that is open."""
    visitor.driver.execute_script(AXE)
    found = visitor.driver.execute_async_script(RUN)
    assert "error" not in found, found
    return [
        (one["id"], one["help"], node["html"][:160])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:3]
    ]


def arrive(visitor: Visitor, words: str) -> None:
    """Wait for the next page: elements of the one before are stale."""
    wait_for(lambda: words in visitor.driver.page_source, words)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing_serious_on_any_page(desk: Desk, browser: Callable[[int], Visitor], width: int) -> None:
    visitor = browser(width)
    send_a_lead(visitor, f"Ada {width}", "Hello")
    log_in(visitor)
    found = {}
    for name, path in PAGES.items():
        if path == "lead":
            visitor.open("/admin/leads/")
            visitor.press(f"Ada {width}")
            arrive(visitor, "Message and answers")
        else:
            visitor.open(path)
        visitor.photograph(f"desk-{name}")
        if faults := serious(visitor):
            found[name] = faults
    assert found == {}
    assert visitor.complaints() == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing_serious_where_only_clicks_lead(
    desk: Desk, browser: Callable[[int], Visitor], width: int
) -> None:
    visitor = browser(width)
    send_a_lead(visitor, f"Lise {width}", "Hello")
    wait_for(lambda: any(f"Lise {width}".encode() in one.body for one in desk.sink.requests), "the webhook")
    log_in(visitor)
    found = {}

    def look(name: str) -> None:
        visitor.photograph(f"desk-{name}")
        if faults := serious(visitor):
            found[name] = faults

    visitor.open("/admin/destinations/new/")
    visitor.fill(name=f"By hand {width}", address=f"sales{width}@shop.example")
    visitor.press("Save")
    arrive(visitor, f"By hand {width}")
    visitor.press("Edit")
    arrive(visitor, f"Edit By hand {width}")
    look("destination-edit")
    visitor.open("/admin/deliveries/")
    visitor.find("main .row-link").click()
    arrive(visitor, "About it")
    visitor.driver.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    look("delivery")
    visitor.press("Send again")
    arrive(visitor, "will be sent now")
    look("confirm")
    for name, path in QUEUE_PAGES.items():
        visitor.open(path)
        time.sleep(0.5)  # rq-dashboard fills its tables by script
        look(f"queues-{name}")
    assert found == {}
    assert visitor.complaints() == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("width", WIDTHS)
def test_spam_is_found_and_sent_late_by_hand(desk: Desk, browser: Callable[[int], Visitor], width: int) -> None:
    visitor = browser(width)
    visitor.open("/f/contact")
    trap = "document.querySelector('[name=_gotcha]').value = 'x'"
    visitor.driver.execute_script(trap)
    visitor.fill(name=f"Mistaken {width}", email="m@example.com", message="I am real.")
    visitor.press("Send")
    assert desk.sink.requests == []
    log_in(visitor)
    visitor.open("/admin/leads/?flt2_spam_is=yes")
    visitor.press(f"Mistaken {width}")
    arrive(visitor, "Message and answers")
    visitor.press("Not spam")
    arrive(visitor, "Not spam?")
    assert serious(visitor) == []
    visitor.press("Not spam")
    wait_for(lambda: any(f"Mistaken {width}".encode() in one.body for one in desk.sink.requests), "the webhook")


@pytest.mark.timeout(120)
def test_a_form_is_moved_and_tested_from_the_admin(desk: Desk, browser: Callable[[int], Visitor]) -> None:
    visitor = browser(390)
    log_in(visitor)
    visitor.open("/admin/forms/migrate")
    visitor.fill(html='<form action="https://old.example/"><input name="your-email" type="email"></form>')
    visitor.press("Look at it")
    arrive(visitor, "What will be found")
    assert "e-mail" in visitor.text
    assert f'action="{desk.address}/f/contact"' in visitor.text
    visitor.photograph("desk-migrated")
    assert serious(visitor) == []
    visitor.press("send a test lead")
    arrive(visitor, "Its latest leads")
    visitor.press("Send a test lead")
    arrive(visitor, "A test lead is on its way")
    wait_for(lambda: any(b"Test Lead" in one.body for one in desk.sink.requests), "the webhook")
    assert visitor.complaints() == []


# Tables and their boxes that are wider than what one sees of them
SIDEWAYS = """return [...document.querySelectorAll("main table, main .table-box")]
  .filter((one) => one.scrollWidth > one.clientWidth + 1 || one.getBoundingClientRect().right > innerWidth + 1)
  .map((one) => `${one.tagName} ${one.className}`)"""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("width", [390, 768])
def test_no_list_has_to_be_scrolled_sideways(desk: Desk, browser: Callable[[int], Visitor], width: int) -> None:
    visitor = browser(width)
    send_a_lead(visitor, "Wolfgang Müller-Lüdenscheidt-Papadopoulos", f"Hello at {width}")
    wait_for(lambda: any(b"denscheidt" in one.body for one in desk.sink.requests), "the webhook")
    log_in(visitor)
    found = {}
    for name in (
        "start",
        "leads",
        "forms",
        "destinations",
        "destination",
        "deliveries",
        "attempts",
        "figures",
        "audit",
    ):
        visitor.open(PAGES[name])
        visitor.driver.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        assert visitor.driver.execute_script("return document.querySelectorAll('main table').length"), name
        if wide := visitor.driver.execute_script(SIDEWAYS):
            found[name] = wide
    assert found == {}


def test_rows_shown_as_cards_are_a_table_to_those_who_hear_it(desk: Desk, browser: Callable[[int], Visitor]) -> None:
    visitor = browser(390)
    send_a_lead(visitor, "Ada Hears", "Hello")
    log_in(visitor)
    visitor.open("/admin/leads/")
    nodes = visitor.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = [node["role"]["value"] for node in nodes]
    assert {"table", "row", "columnheader", "cell"} <= set(roles)
    assert roles.count("columnheader") == 9  # the box that chooses all of them, and eight columns


@pytest.mark.timeout(120)
def test_the_customers_api_is_looked_at_and_then_tried(desk: Desk, browser: Callable[[int], Visitor]) -> None:
    visitor = browser(390)
    log_in(visitor)
    visitor.open("/admin/destinations/new/")
    assert not visitor.find("[name=token]").is_displayed()  # an e-mail address needs none
    visitor.find("[name=kind]").send_keys("CRM")
    wait_for(lambda: visitor.find("[name=token]").is_displayed(), "the token's field")
    visitor.fill(name="Customer", address=desk.sink.url, token="t0p-secret")
    visitor.press("Save")
    arrive(visitor, "Token and answers")
    visitor.press("Try it")
    arrive(visitor, "What would be sent")
    assert "would not be passed on" in visitor.text
    pairs = (("address.zip", "66123"), ("house.is_owner", "yes"))
    for row, (name, answer) in zip(visitor.driver.find_elements("css selector", ".field-pair"), pairs, strict=True):
        row.find_element("name", "name").send_keys(name)
        row.find_element("name", "value").send_keys(answer)
    visitor.press("Show the request")
    arrive(visitor, "customer_zip")
    assert "t0p-secret" not in visitor.driver.page_source
    assert serious(visitor) == []
    visitor.photograph("desk-try")
    assert desk.sink.requests == []
    visitor.press("Send a test lead")
    arrive(visitor, "A record will be made there.")
    assert serious(visitor) == []
    visitor.press("Send it, make a record there")
    arrive(visitor, "A test lead is on its way")
    wait_for(lambda: desk.sink.requests, "the customer's API")
    assert desk.sink.requests[0].headers["Authorization"] == "Bearer t0p-secret"
    assert b'"customer_zip":"66123"' in desk.sink.requests[0].body
    assert visitor.complaints() == []
