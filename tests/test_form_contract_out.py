"""form-contract.md, "What goes out": who gets JSON, what the answers are, CORS, redirects, duplicates, strict forms."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from leadapp.database import transaction
from leadapp.deliveries.models import Kind
from leadapp.extensions import db
from leadapp.leads.models import Form, Lead
from leadapp.leads.redirects import next_page, origin_of
from tests.factories import add_desk, add_form, rows_of, the_row

ADA = {"name": "Ada Lovelace", "email": "ada@example.com", "message": "Hello"}
JSON = {"Accept": "application/json"}
ORIGIN = {"Origin": "https://shop.example"}


@pytest.fixture
def desk(app) -> Form:
    form, _, _ = add_desk()
    return form


def the_lead() -> Lead:
    return db.session.scalars(select(Lead), execution_options={"populate_existing": True}).one()


def lead_count() -> int:
    db.session.expire_all()
    return db.session.scalar(select(func.count()).select_from(Lead)) or 0


# --- JSON or a page


@pytest.mark.parametrize(
    ("post", "headers", "is_json"),
    [
        ("data", {"X-Requested-With": "XMLHttpRequest"}, True),
        ("data", {"Accept": "application/json, text/html"}, True),
        ("data", {"Accept": "text/html;q=0.5, application/json"}, True),
        ("data", {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}, False),
        ("data", {"Accept": "*/*"}, False),
        ("data", {}, False),
        ("json", {}, True),
        ("json", {"Accept": "*/*"}, True),
        ("json", {"Accept": "text/html"}, False),
    ],
)
@pytest.mark.parametrize("address", ["/f/contact", "/submit"])
def test_who_wants_json_gets_it(desk, client, post, headers, is_json, address):
    answer = client.post(address, headers=headers, **{post: {**ADA, "access_key": "contact"}})
    assert (answer.status_code, answer.is_json) == ((200, True) if is_json else (303, False))


def test_json_tells_everything_that_client_libraries_test_for(desk, client):
    body = client.post("/f/contact", json=ADA, headers=JSON).get_json()
    assert body == {
        "ok": True,
        "success": True,
        "id": str(the_lead().id),
        "next": "http://localhost/f/contact/thanks",
        "message": "Thank you. Your message has arrived.",
    }


def test_json_is_never_a_redirect_and_names_the_next_page(app, client):
    add_form(site_url="https://shop.example")
    answer = client.post("/f/contact", json={**ADA, "_next": "/thanks"}, headers=JSON)
    assert (answer.status_code, answer.get_json()["next"]) == (200, "https://shop.example/thanks")


@pytest.mark.parametrize("name", ["_next", "_redirect", "redirect", "retURL"])
def test_every_name_of_the_next_page_is_obeyed(app, client, name):
    add_form(site_url="https://shop.example")
    assert client.post("/f/contact", data={**ADA, name: "/done?a=1"}).location == "https://shop.example/done?a=1"


# --- @formspree/core and @formspree/ajax


@pytest.mark.parametrize("how", ["form data", "json"])
def test_formspree_core_understands_success(desk, client, how):
    headers = {**JSON, **ORIGIN, "Formspree-Client": "@formspree/core@4.0.0", "Formspree-Session-Data": "e30="}
    sent = {"data": ADA, "content_type": "multipart/form-data"} if how == "form data" else {"json": ADA}
    answer = client.post("/f/contact", headers=headers, **sent)
    body = answer.get_json()
    assert isinstance(body["next"], str)
    assert "error" not in body
    assert "errors" not in body
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_formspree_core_understands_errors(app, client):
    add_form(is_strict=True, required_fields=["message"])
    answer = client.post("/f/contact", json={"email": "nobody", "message": " "}, headers={**JSON, **ORIGIN})
    errors = answer.get_json()["errors"]
    assert {(error["code"], error["field"]) for error in errors} == {
        ("REQUIRED_FIELD_EMPTY", "message"),
        ("TYPE_EMAIL", "email"),
    }
    assert all(isinstance(error["message"], str) for error in errors)


# --- CORS


@pytest.mark.parametrize("address", ["/f/contact", "/f/nobody", "/submit", "/"])
def test_a_preflight_allows_what_scripts_send(desk, client, address):
    asked = {**ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "formspree-client"}
    answer = client.options(address, headers=asked)
    allowed = {name.strip() for name in answer.headers["Access-Control-Allow-Headers"].split(",")}
    assert answer.status_code == 204
    assert allowed >= {"Accept", "Content-Type", "X-Requested-With", "Authorization", "Idempotency-Key"}
    assert allowed >= {"Formspree-Client", "Formspree-Session-Data"}
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    ("address", "sent", "status"),
    [
        ("/f/contact", {"data": b"", "content_type": "text/plain"}, 400),
        ("/f/nobody", {"json": ADA}, 404),
        ("/submit", {"json": ADA}, 404),
        ("/f/contact", {"data": b"x", "content_type": "image/png"}, 415),
        ("/f/contact", {"data": b"[]", "content_type": "application/json"}, 400),
    ],
)
def test_a_script_on_another_site_may_read_every_error(desk, client, address, sent, status):
    answer = client.post(address, headers={**JSON, **ORIGIN}, **sent)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (status, "*")
    body = answer.get_json()
    assert (body["ok"], body["success"], body["error"]) == (False, False, body["message"])
    assert set(body["errors"][0]) == {"code", "field", "message"}


def test_a_list_of_origins_counts_for_every_address(app, client):
    add_form(allowed_origins=["https://shop.example"])
    for origin, allowed in (("https://shop.example", "https://shop.example"), ("https://evil.example", None)):
        for answer in (
            client.options("/f/contact", headers={"Origin": origin}),
            client.post("/f/contact", json=ADA, headers={**JSON, "Origin": origin}),
            client.post("/submit", json={**ADA, "access_key": "contact"}, headers={**JSON, "Origin": origin}),
        ):
            assert answer.headers.get("Access-Control-Allow-Origin") == allowed
            assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize("headers", [{}, {"Origin": "null"}, {"Referer": "about:client"}, {"Origin": "\udcff"}])
def test_no_referer_and_no_origin_are_accepted(desk, client, headers):
    assert client.post("/f/contact", data=ADA, headers=headers).status_code == 303


# --- error pages


def test_an_error_page_keeps_what_was_typed_and_where_it_goes(app, client):
    add_form(is_strict=True, required_fields=["phone"])
    typed = {
        **ADA,
        "access_key": "contact",
        "topics": ["<b>", "two"],
        "_next": "/x",
        "password": "s3cret",
        "_gotcha": "",
    }
    answer = client.post("/submit", data=typed)
    page = answer.text
    assert (answer.status_code, lead_count()) == (422, 0)
    for kept in (
        'action="/submit"',
        'value="contact"',
        'value="Ada Lovelace"',
        "&lt;b&gt;",
        'value="two"',
        'value="/x"',
    ):
        assert kept in page
    assert "s3cret" not in page
    assert "_gotcha" not in page
    assert 'name="phone"' in page
    assert "Phone is needed." in page


# --- strict forms


@pytest.fixture
def strict(app) -> Form:
    return add_form(is_strict=True, required_fields=["email", "budget", "lead[zip]", "cv"])


WHOLE = {"your-email": "ada@example.com", "budget": "10", "lead[zip]": "1", "cv": "mine.pdf"}


def test_a_strict_form_takes_what_is_whole(strict, client):
    assert client.post("/f/contact", json=WHOLE, headers=JSON).status_code == 200
    assert lead_count() == 1


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"your-email": ""}, "REQUIRED_FIELD_EMPTY", "email"),
        ({"your-email": "ada at example"}, "TYPE_EMAIL", "your-email"),
        ({"budget": "  "}, "REQUIRED_FIELD_EMPTY", "budget"),
        ({"budget": None}, "REQUIRED_FIELD_EMPTY", "budget"),
        ({"lead[zip]": []}, "REQUIRED_FIELD_EMPTY", "lead[zip]"),
        ({"cv": ""}, "REQUIRED_FIELD_EMPTY", "cv"),
    ],
)
def test_a_strict_form_refuses_what_is_not_and_stores_nothing(strict, client, fields, code, field):
    for _ in range(2):
        answer = client.post("/f/contact", json={**WHOLE, **fields}, headers=JSON)
        assert (answer.status_code, lead_count()) == (422, 0)
        assert [(one["code"], one["field"]) for one in answer.get_json()["errors"]] == [(code, field)]


def test_a_strict_form_finds_a_field_in_either_way_of_writing(strict, client):
    fields = {name: value for name, value in WHOLE.items() if name != "lead[zip]"} | {"lead": {"zip": 7}, "budget": 0}
    assert client.post("/f/contact", json=fields, headers=JSON).status_code == 200


def test_a_file_fills_a_needed_field(strict, client):
    import io

    fields = {**WHOLE, "cv": (io.BytesIO(b"x"), "cv.pdf")}
    assert client.post("/f/contact", data=fields, headers=JSON).status_code == 200


def test_a_robot_learns_nothing_from_a_strict_form(strict, client):
    assert client.post("/f/contact", json={"_gotcha": "x", "a": "b"}, headers=JSON).status_code == 200
    assert the_lead().is_spam


def test_a_bug_in_reading_the_fields_costs_no_lead_of_a_strict_form(strict, client, monkeypatch, caplog):
    from leadapp.leads import judging

    monkeypatch.setattr(judging, "understand", lambda *_: 1 / 0)
    assert client.post("/f/contact", json={"a": "b"}, headers=JSON).status_code == 200
    assert (the_lead().problems[0]["code"], caplog.messages.count("the pipeline broke")) == ("PIPELINE", 1)


def test_other_forms_take_anything(desk, client):
    assert client.post("/f/contact", json={"email": "ada at example"}, headers=JSON).status_code == 200


# --- twice


def test_a_reload_is_kept_linked_and_sent_once(desk, client):
    for headers in (ORIGIN, {}, {"Referer": "https://shop.example/?x=1"}):
        assert client.post("/f/contact", data={**ADA, "_t": "1"}, headers=headers).status_code == 303
    first, *others = db.session.scalars(select(Lead).order_by(Lead.id))
    assert {lead.duplicate_of_id for lead in others} == {first.id}
    assert [len(rows_of(lead)) for lead in (first, *others)] == [2, 0, 0]


def test_after_the_window_the_same_words_are_news(app_with):
    client = app_with(duplicate_window_hours=0).test_client()
    add_desk()
    for _ in range(2):
        client.post("/f/contact", data=ADA)
    assert [len(rows_of(lead)) for lead in db.session.scalars(select(Lead))] == [2, 2]


def test_an_idempotency_key_counts_through_every_address(desk, client):
    headers = {**JSON, "Idempotency-Key": "k"}
    fields = {**ADA, "access_key": "contact"}
    first = client.post("/submit", json=fields, headers=headers).get_json()
    assert client.post("/f/contact", json=fields, headers=headers).get_json() == first
    other = client.post("/submit", json={**fields, "message": "Else"}, headers=headers)
    assert (other.status_code, other.get_json()["errors"][0]["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert lead_count() == 1


# --- redirects, as a property

costume = st.text(st.sampled_from("/\\:@.?#%&=evil shopexample\t\r\n\0\u3002\uff0f\u202e0-[]"), max_size=60)
prefix = st.sampled_from(
    " / // /// /\\ \\\\ ? # https: https:/ https:// http:// HTTPS://shop.example javascript: data: "
    "https://shop.example https://shop.example@ https://shop.example. https://shop.example:443".split(" ")
)


@given(prefix, costume, st.sampled_from(["", "https://shop.example/contact", "https://evil.example/"]))
def test_no_costume_leads_astray(start, rest, posted_from):
    own = "https://leads.example/f/contact/thanks"
    found = next_page(start + rest, own, site_url="https://shop.example", posted_from=posted_from)
    assert found == own or (origin_of(found) == "https://shop.example" and found.isascii() and found.isprintable())
    assert not set(found) & set("\\ \t\r\n")


@pytest.mark.parametrize(
    "value", ["//evil.example", "https:evil.example", "\thttps://evil.example", "/%0d%0aSet-Cookie:x"]
)
def test_no_costume_reaches_a_header(app, client, value):
    add_form(site_url="https://shop.example")
    answer = client.post("/f/contact", data={**ADA, "_next": value})
    assert answer.status_code == 303
    assert origin_of(answer.location) in ("", "https://shop.example")
    assert "Set-Cookie" not in answer.headers


# --- bad addresses


@pytest.mark.parametrize(
    ("email", "reply_to"),
    [
        ("a" * 64 + "@" + "b" * 60 + "." + "c" * 60 + ".example", True),
        ("a" * 400 + "@example.com", False),
        ("ada@müller.example", True),
        ('"ada lovelace"@example.com', True),
        ("Ada Lovelace <ada@example.com>", True),
        ("ada@example.com\r\nBcc: eve@example.com", False),
        ("ada\u202e@example.com", False),
        ("ada@example.com, eve@example.com", False),
        ("ada@[127.0.0.1]", False),
        ("@", False),
    ],
)
def test_a_bad_address_is_kept_and_only_loses_the_reply(desk, client, email, reply_to):
    assert client.post("/f/contact", data={**ADA, "email": email}).status_code == 303
    mail = json.loads(the_row(the_lead(), Kind.EMAIL).payload)
    assert bool(mail["reply_to"]) is reply_to
    assert email.strip() in json.loads(the_lead().raw_payload)["email"]
    assert not set(mail["reply_to"] + mail["subject"]) & set("\r\n\u202e")


def test_a_paused_form_still_refuses_what_its_owner_set_strict(strict, client):
    with transaction():
        db.session.scalars(select(Form)).one().is_paused = True
    assert client.post("/f/contact", json={"a": "b"}, headers=JSON).status_code == 422
    assert client.post("/f/contact", json=WHOLE, headers=JSON).status_code == 200
