"""Client libraries that sites use already, unchanged but for the address, on a page of another origin."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.services.test_browser import Desk, Visitor, browser, desk, wait_for, whole_receiver
from tests.sinks import HttpAnswer, HttpSink, Request

__all__ = ["browser", "desk", "whole_receiver"]  # fixtures

LIBRARIES = Path(__file__).parent / "formspree"
CORE = (LIBRARIES / "core-4.0.0" / "index.mjs").read_bytes()
AJAX = (LIBRARIES / "ajax-1.1.5" / "global.js").read_bytes()
PAGE = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>A shop</title><main>
<form id="f"><input name="name"><input name="email"><textarea name="message"></textarea>
<input type="hidden" name="_next" value="/danke"><input type="file" name="plan" disabled>
<p data-fs-error="name"></p><p data-fs-error="email"></p><p data-fs-error></p><p data-fs-success></p>
<button data-fs-submit-btn>Send</button></form></main>"""
# What a site's own script does with @formspree/core: post, then tell how it went.
SUBMIT = """const [endpoint, values, done] = arguments;
import('/core.mjs').then(async ({createClient, isSubmissionError}) => {
  const body = values || new FormData(document.getElementById('f'));
  const result = await createClient().submitForm('contact', body, {endpoint});
  done(isSubmissionError(result)
    ? {form: result.getFormErrors(), fields: result.getAllFieldErrors()} : {next: result.next});
}).catch((error) => done({broke: `${error}`}));"""
# And with @formspree/ajax: its documented snippet, with the option `origin`.
LISTEN = """window.formspree = window.formspree || function () { (formspree.q = formspree.q || []).push(arguments) };
formspree('initForm', {formElement: '#f', formId: 'contact', origin: arguments[0],
  onSuccess: (_, result) => { location = result.next }});
const script = document.createElement('script');
script.src = '/ajax.js';
script.onload = () => arguments[1](true);
document.head.append(script);"""


def shop(request: Request) -> HttpAnswer:
    """The customer's site: a page with a form, the libraries, and a page to go to afterwards."""
    scripts = {"/core.mjs": CORE, "/ajax.js": AJAX}
    if request.path in scripts:
        return 200, {"Content-Type": "text/javascript"}, scripts[request.path]
    page = "<!doctype html><main>Danke!</main>" if request.path == "/danke" else PAGE
    return 200, {"Content-Type": "text/html; charset=utf-8"}, page.encode()


@pytest.fixture
def site() -> Iterator[str]:
    with HttpSink(shop) as server:
        yield server.url.removesuffix("/hook")


@contextmanager
def settings_of_the_form(desk: Desk, **changes: Any) -> Iterator[None]:
    def change(values: dict[str, Any]) -> None:
        for name, value in values.items():
            desk.run_sql(f"UPDATE form SET {name} = ? WHERE key = 'contact'", value)

    change(changes)
    yield
    change({"site_url": "", "allowed_origins": "[]", "is_strict": 0, "required_fields": "[]"})


def submit(visitor: Visitor, values: dict[str, Any] | None) -> dict[str, Any]:
    """By @formspree/core: an object goes as JSON, None sends the page's form as FormData."""
    return visitor.driver.execute_async_script(SUBMIT, visitor.desk.address, values)


def arrived(desk: Desk, word: str) -> dict[str, Any]:
    def look() -> Any:
        return next((one for one in desk.sink.requests if word.encode() in one.body), None)

    return json.loads(wait_for(look, word).body)["data"]


def test_core_posts_json_and_form_data_from_another_origin(
    desk: Desk, browser: Callable[[int], Visitor], site: str
) -> None:
    visitor = browser(390)
    visitor.open(site)
    with settings_of_the_form(desk, site_url=site, allowed_origins=json.dumps([site])):
        assert submit(visitor, {"name": "Core Json", "email": "core@example.com", "_next": "/danke"}) == {
            "next": f"{site}/danke"
        }
        visitor.fill(name="Core Data", email="data@example.com", message="Grüße")
        assert submit(visitor, None) == {"next": f"{site}/danke"}
    assert arrived(desk, "Core Json")["email"] == "core@example.com"
    assert arrived(desk, "Core Data")["message"] == "Grüße"
    assert visitor.complaints() == []


def test_core_understands_why_a_post_is_refused(desk: Desk, browser: Callable[[int], Visitor], site: str) -> None:
    visitor = browser(390)
    visitor.open(site)
    with settings_of_the_form(desk, is_strict=1, required_fields='["name"]'):
        answer = submit(visitor, {"email": "nobody", "message": "hello"})
    codes = {field: [error["code"] for error in errors] for field, errors in answer["fields"]}
    assert codes == {"name": ["REQUIRED_FIELD_EMPTY"], "email": ["TYPE_EMAIL"]}
    assert submit(visitor, {"name": ""})["form"][0]["code"] == "EMPTY"


def test_a_browser_keeps_the_answer_from_a_site_that_the_form_does_not_allow(
    desk: Desk, browser: Callable[[int], Visitor], site: str
) -> None:
    visitor = browser(390)
    visitor.open(site)
    with settings_of_the_form(desk, allowed_origins='["https://shop.example"]'):
        answer = submit(visitor, {"name": "Foreign", "message": "hello"})
    assert answer["form"][0]["message"] == "Failed to fetch"
    assert any("has been blocked by CORS policy" in line for line in visitor.complaints())


def test_ajax_shows_field_errors_then_goes_to_the_next_page(
    desk: Desk, browser: Callable[[int], Visitor], site: str
) -> None:
    visitor = browser(390)
    visitor.open(site)
    visitor.driver.execute_async_script(LISTEN, desk.address)
    with settings_of_the_form(desk, site_url=site, is_strict=1, required_fields='["name"]'):
        visitor.fill(email="ajax", message="From a shop")
        visitor.press("Send")
        wait_for(lambda: "Name is needed." in visitor.text, "the field's error")
        assert "This does not look like an e-mail address." in visitor.text
        visitor.photograph("library-errors")
        visitor.fill(name="Ajax Library", email="@example.com")
        visitor.press("Send")
        wait_for(lambda: visitor.driver.current_url == f"{site}/danke", "the page after success")
    lead = arrived(desk, "Ajax Library")
    assert (lead["email"], lead["message"]) == ("ajax@example.com", "From a shop")
