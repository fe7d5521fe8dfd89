"""The pages that anybody may open: complete, escaped, light, usable without JavaScript and with a keyboard."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from leadapp.config import ROOT
from leadapp.errors import PayloadError
from leadapp.extensions import db
from leadapp.leads import pages
from leadapp.leads.kept_fields import Field, kept_fields, label_of
from leadapp.leads.models import Form

STATIC = ROOT / "leadapp" / "static"
ATTACK = "\"><script>alert(1)</script>{{ 7*7 }}'"
EMPTY = PayloadError(400, "EMPTY", "Nothing was filled in.")


class Page(HTMLParser):
    """What a test asks of a page: its tags with their attributes, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, *names: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.tags if tag in names]

    def value_of(self, name: str) -> str | None:
        return next(attrs.get("value") for attrs in self.all("input") if attrs.get("name") == name)


@pytest.fixture
def contact(app: Flask) -> Form:
    return add_form()


def add_form(**changes: Any) -> Form:
    form = Form(**{"key": "contact", "name": "Ada's Bakery", **changes})
    db.session.add(form)
    db.session.commit()
    return form


def problem_page(app: Flask, form: Form | None, *errors: PayloadError, **typed: list[str]) -> str:
    with app.test_request_context("/f/contact", method="POST"):
        return pages.problem(form, errors or (EMPTY,), typed)


# The start page


def test_the_start_page_holds_a_form_that_really_posts(client: FlaskClient, contact: Form) -> None:
    page = Page(client.get("/").text)
    assert page.all("form")[0]["action"] == "http://localhost/f/contact"
    assert page.all("form")[0]["method"] == "post"
    assert {field["name"] for field in page.all("input", "textarea")} == {
        "name",
        "email",
        "phone",
        "message",
        "_gotcha",
    }


def test_the_snippet_posts_to_this_installation(client: FlaskClient, contact: Form) -> None:
    html = client.get("/", base_url="https://leads.example").text
    assert "&lt;form action=&#34;https://leads.example/f/contact&#34; method=&#34;post&#34;&gt;" in html


def test_the_snippet_names_the_public_address_when_one_is_set(app_with: Any) -> None:
    client = app_with(frontend_base_url="https://leads.example/").test_client()
    add_form()
    assert "https://leads.example/f/contact" in client.get("/").text


def test_the_start_page_leads_to_the_admin_and_the_queues(client: FlaskClient, contact: Form) -> None:
    links = {link["href"] for link in Page(client.get("/").text).all("a")}
    assert {"/admin/", "/admin/queues/"} <= links


def test_the_copy_button_is_hidden_without_javascript(client: FlaskClient, contact: Form) -> None:
    buttons = [button for button in Page(client.get("/").text).all("button") if "data-copy" in button]
    assert [("hidden" in button, button["data-copy"]) for button in buttons] == [(True, "snippet")]


def test_without_the_contact_form_the_start_page_says_what_is_missing(client: FlaskClient) -> None:
    html = client.get("/").text
    assert "flask setup" in html
    assert "<form" not in html


def test_in_production_the_start_page_is_quiet(app_with: Any) -> None:
    client = app_with(app_env="production").test_client()
    add_form()
    html = client.get("/").text
    assert "Log in" in html
    assert "<form" not in html
    assert "contact" not in html


# The form by its own address, and thank-you


def test_whoever_opens_the_address_of_a_form_gets_the_form(client: FlaskClient, contact: Form) -> None:
    answer = client.get("/f/contact")
    assert Page(answer.text).all("form")[0]["action"] == "/f/contact"
    assert "Ada&#39;s Bakery" in answer.text


@pytest.mark.parametrize("path", ["/f/nobody", "/f/nobody/thanks"])
def test_an_unknown_form_is_not_found(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "This form does not exist" in answer.text


def test_thank_you_names_the_business_and_what_happens_next(client: FlaskClient, contact: Form) -> None:
    html = client.get("/f/contact/thanks").text
    assert "Ada&#39;s Bakery" in html
    assert "Your message has arrived" in html
    assert "They reply" in html


def way_back(client: FlaskClient, referrer: str) -> str | None:
    answer = client.get("/f/contact/thanks", headers={"Referer": referrer})
    assert answer.headers["Cache-Control"] == "no-store"
    return next((link["href"] for link in Page(answer.text).all("a")), None)


def test_the_way_back_is_the_page_that_the_visitor_came_from(client: FlaskClient, contact: Form) -> None:
    assert way_back(client, "https://shop.example/contact?a=1") == "https://shop.example/contact?a=1"
    assert way_back(client, "http://localhost/") == "http://localhost/"


@pytest.mark.parametrize(
    "referrer", ["", "javascript:alert(1)", "https://a@evil.example/", "http://localhost/f/contact/thanks"]
)
def test_a_doubtful_way_back_is_left_out(client: FlaskClient, contact: Form, referrer: str) -> None:
    assert way_back(client, referrer) is None


def test_a_form_with_a_site_leads_back_to_that_site_only(client: FlaskClient) -> None:
    add_form(site_url="https://shop.example/")
    assert way_back(client, "https://evil.example/") == "https://shop.example/"
    assert way_back(client, "https://shop.example/contact") == "https://shop.example/contact"


def test_a_form_with_origins_leads_back_to_these_only(client: FlaskClient) -> None:
    add_form(allowed_origins=["https://shop.example"])
    assert way_back(client, "https://evil.example/") is None
    assert way_back(client, "https://shop.example/contact") == "https://shop.example/contact"


# The problem page


def test_a_problem_keeps_every_field_that_was_typed(app: Flask) -> None:
    page = Page(problem_page(app, None, **{"name": ["Ada"], "favourite cake": ["Rum"], "size[]": ["S", "XL"]}))
    assert page.value_of("name") == "Ada"
    assert page.value_of("favourite cake") == "Rum"
    assert [field["value"] for field in page.all("input") if field["name"] == "size[]"] == ["S", "XL"]


def test_a_problem_page_sends_to_the_same_address_again(app: Flask) -> None:
    (form,) = Page(problem_page(app, None, name=["Ada"])).all("form")
    assert (form["action"], form["method"]) == ("/f/contact", "post")


def test_line_breaks_survive_in_a_message(app: Flask) -> None:
    assert 'rows="6">\n\n first\nsecond</textarea>' in problem_page(app, None, note=["\n first\nsecond"])


def test_what_the_site_put_into_the_form_stays_hidden(app: Flask) -> None:
    page = Page(problem_page(app, None, _next=["/thanks"], utm_source=["news"], name=["Ada"]))
    assert {field["name"]: field.get("type") for field in page.all("input")} == {
        "_next": "hidden",
        "utm_source": "hidden",
        "name": None,
    }


SECRETS = [
    "password",
    "Passwort",
    "user[password]",
    "csrf_token",
    "g-recaptcha-response",
    "card-number",
    "cvc",
]


@pytest.mark.parametrize("name", [*SECRETS, "cf-turnstile-response", "_gotcha", "_honey", "botcheck", "website"])
def test_secrets_tokens_and_honeypots_are_not_sent_back(app: Flask, name: str) -> None:
    html = problem_page(
        app,
        Form(key="x", name="X", honeypot="website", site_url="", allowed_origins=[]),
        **{name: ["s3cret"]},
    )
    assert "s3cret" not in html
    assert f'name="{name}"' not in html


def test_the_summary_links_to_the_field_at_fault(app: Flask) -> None:
    error = PayloadError(422, "TYPE_EMAIL", "This address misses an @.", "email")
    html = problem_page(app, None, error, name=["Ada"], email=["ada"])
    page = Page(html)
    (field,) = [field for field in page.all("input") if field["name"] == "email"]
    assert [link["href"] for link in page.all("a")] == [f"#{field['id']}"]
    assert field["aria-describedby"] == f"{field['id']}-error"
    assert html.count("This address misses an @.") == 2


def test_a_missing_field_is_offered_empty(app: Flask) -> None:
    html = problem_page(
        app, None, PayloadError(422, "REQUIRED_FIELD_EMPTY", "We need a name.", "name"), email=["a@b.example"]
    )
    assert Page(html).value_of("name") == ""


def test_an_error_in_a_field_that_is_never_shown_is_told_without_a_link(app: Flask) -> None:
    html = problem_page(app, None, PayloadError(422, "X", "The key was used before.", "csrf_token"), name=["Ada"])
    assert "The key was used before." in html
    assert "<a " not in html


def test_without_anything_typed_the_page_points_back(app: Flask) -> None:
    assert "Go back in your browser" in problem_page(app, None)


def test_a_hostile_value_is_only_text(app: Flask) -> None:
    form = Form(key="x", name=ATTACK, honeypot="", site_url="", allowed_origins=[])
    html = problem_page(app, form, PayloadError(422, ATTACK, ATTACK, ATTACK), **{ATTACK: [ATTACK], "_next": [ATTACK]})
    assert "<script" not in html
    assert "{{ 7*7 }}" in html
    assert all(not name.startswith("on") for attrs in Page(html).all("input", "form", "p") for name in attrs)


def test_a_redirect_to_the_forms_site_is_not_stopped_by_our_own_policy(app: Flask) -> None:
    form = Form(
        key="x",
        name="X",
        honeypot="",
        site_url="https://shop.example/a",
        allowed_origins=["http://b.example"],
    )
    with app.test_request_context("/f/x", method="POST"):
        pages.problem(form, [EMPTY], {})
        from leadapp import headers

        assert "form-action 'self' http://b.example https://shop.example" in headers.policy()


@pytest.mark.parametrize(
    ("name", "label", "autocomplete"),
    [
        ("your-name", "Your name", "name"),
        ("firstName", "First Name", "given-name"),
        ("lead[email]", "Lead email", "email"),
        ("_replyto", "Replyto", "email"),
        ("telefon", "Telefon", "tel"),
        ("size[]", "Size", "on"),
        ("[]", "Answer", "on"),
    ],
)
def test_a_field_is_labelled_in_words(name: str, label: str, autocomplete: str) -> None:
    assert label_of(name) == label
    assert Field("x", name, "").autocomplete == autocomplete


def test_a_long_answer_gets_room(app: Flask) -> None:
    assert [field.kind for field in kept_fields({"a": ["x" * 81], "message": ["hi"], "b": ["x"]}, {})] == [
        "text",
        "text",
        "line",
    ]


# All of them


@pytest.fixture
def every_page(app: Flask, client: FlaskClient, contact: Form) -> dict[str, str]:
    error = PayloadError(422, "TYPE_EMAIL", "This address misses an @.", "email")
    return {
        "start": client.get("/").text,
        "form": client.get("/f/contact").text,
        "thanks": client.get("/f/contact/thanks", headers={"Referer": "https://shop.example/"}).text,
        "problem": problem_page(app, contact, error, email=["ada"], message=["Hello"], _next=["/x"]),
        "error": client.get("/nothing-here").text,
    }


def test_no_page_runs_or_styles_anything_inline(every_page: dict[str, str]) -> None:
    for html in every_page.values():
        assert "<style" not in html
        assert not re.search(r"\s(?:style|on\w+)=", html)
        assert not re.search(r"<script(?![^>]*\ssrc=)", html)


def test_no_page_asks_a_third_party_for_anything(every_page: dict[str, str]) -> None:
    for html in every_page.values():
        page = Page(html)
        loaded = [attrs.get("src") or attrs.get("href") for attrs in page.all("script", "link", "img", "iframe")]
        assert all(address and address.startswith("/static/") for address in loaded)


def test_no_stylesheet_asks_a_third_party_for_anything() -> None:
    for path in (STATIC / "tokens.css", STATIC / "public.css"):
        assert "url(" not in path.read_text()
        assert "@import" not in path.read_text()


def test_every_page_weighs_less_than_15_kb(every_page: dict[str, str]) -> None:
    shared = sum((STATIC / name).stat().st_size for name in ("tokens.css", "public.css", "public.js", "icon.svg"))
    assert max(len(html.encode()) for html in every_page.values()) + shared < 15_000


def test_every_field_has_a_label_and_every_id_is_used_once(every_page: dict[str, str]) -> None:
    for html in every_page.values():
        page = Page(html)
        ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
        labelled = {label["for"] for label in page.all("label")}
        fields = [field for field in page.all("input", "textarea") if field.get("type") != "hidden"]
        assert len(ids) == len(set(ids))
        assert {field["id"] for field in fields} == labelled


def test_every_page_has_a_language_a_title_a_heading_and_fits_a_phone(every_page: dict[str, str]) -> None:
    for html in every_page.values():
        page = Page(html)
        assert page.all("html")[0]["lang"] == "en"
        assert len(page.all("h1")) == len(page.all("main")) == len(page.all("title")) == 1
        assert 'content="width=device-width, initial-scale=1"' in html


# The colours


def tokens(css: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", css))


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


LIGHT, DARK = Path(STATIC / "tokens.css").read_text().split("@media (prefers-color-scheme: dark)")


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_is_readable_on_every_ground(scheme: str) -> None:
    found = tokens(scheme)
    grounds = [
        (text, ground)
        for text in ("ink", "muted", "accent", "good", "wait", "bad", "hold")
        for ground in ("paper", "wash")
    ]
    grounds += [(state, f"{state}-wash") for state in ("good", "wait", "bad", "hold", "accent")] + [
        ("on-accent", "accent")
    ]
    assert [pair for pair in grounds if contrast(found[pair[0]], found[pair[1]]) < 4.5] == []
    assert contrast(found["field-line"], found["paper"]) >= 3


def test_the_dark_scheme_changes_every_colour() -> None:
    assert tokens(LIGHT).keys() == tokens(DARK).keys()
