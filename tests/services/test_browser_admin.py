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
