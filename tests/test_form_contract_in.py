"""form-contract.md, "What comes in": addresses, encodings, charsets, names, limits."""

import gzip
import io
import json
import zlib
from urllib.parse import urlencode

import pytest
from sqlalchemy import func, select

from leadapp.deliveries.models import DeliveryState, HeldReason
from leadapp.extensions import db
from leadapp.files.models import Document
from leadapp.leads.models import Form, Lead
from tests.factories import add_desk, add_form, rows_of

ADA = {"name": "Ada Lovelace", "email": "ada@example.com", "message": "Hello"}
JSON = {"Accept": "application/json"}
FORM = "application/x-www-form-urlencoded"
CHUNKED = {
    "content_type": FORM,
    "headers": {**JSON, "Transfer-Encoding": "chunked"},
    "environ_overrides": {"wsgi.input_terminated": True},
}


@pytest.fixture
def desk(app) -> Form:
    form, _, _ = add_desk()
    return form


def the_lead() -> Lead:
    return db.session.scalars(select(Lead), execution_options={"populate_existing": True}).one()


def lead_count() -> int:
    db.session.expire_all()
    return db.session.scalar(select(func.count()).select_from(Lead)) or 0


def code_of(answer) -> str:
    return answer.get_json()["errors"][0]["code"]


# --- addresses


@pytest.mark.parametrize("field", ["access_key", "accessKey", "apikey", "apiKey", "form-name"])
@pytest.mark.parametrize("address", ["/submit", "/"])
@pytest.mark.parametrize("encoding", ["json", "data"])
def test_a_post_may_name_its_form_in_a_field(desk, client, address, field, encoding):
    answer = client.post(address, headers=JSON, **{encoding: {**ADA, field: "contact"}})
    assert (answer.status_code, answer.get_json()["ok"]) == (200, True)
    lead = the_lead()
    assert (lead.form_id, lead.email, len(rows_of(lead))) == (desk.id, "ada@example.com", 2)


def test_a_named_form_leads_to_the_same_thank_you_page(desk, client):
    assert client.post("/submit", data={**ADA, "access_key": "contact"}).location == "/f/contact/thanks"


def test_the_key_in_the_address_wins_over_a_field(desk, client):
    other = add_form("other")
    client.post("/f/other", data={**ADA, "access_key": "contact"})
    assert the_lead().form_id == other.id


@pytest.mark.parametrize("fields", [{}, {"access_key": "nobody"}, {"access_key": ""}, {"access_key": "a\0b"}])
def test_a_post_that_names_no_form_of_ours_is_404_and_keeps_what_was_typed(desk, client, fields):
    answer = client.post("/submit", json={**ADA, **fields}, headers=JSON)
    assert (answer.status_code, code_of(answer), lead_count()) == (404, "FORM_NOT_FOUND", 0)
    assert "Ada Lovelace" in client.post("/submit", data={**ADA, **fields}).text


def test_an_unknown_address_keeps_what_was_typed(desk, client):
    answer = client.post("/f/nobody", data=ADA)
    assert (answer.status_code, "Ada Lovelace" in answer.text) == (404, True)


def test_the_start_page_is_still_a_page(desk, client):
    assert client.get("/").status_code == 200
    assert client.get("/submit").status_code == 405


# --- encodings


def bodies() -> dict[str, tuple[str, bytes]]:
    parts = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in ADA.items()
    )
    named = [{"name": name, "value": value} for name, value in ADA.items()]
    lines = "".join(f"{name}={value}\r\n" for name, value in ADA.items()).encode()
    as_json = json.dumps(ADA).encode()
    return {
        "urlencoded": (FORM, urlencode(ADA).encode()),
        "multipart": ("multipart/form-data; boundary=x", f"{parts}--x--\r\n".encode()),
        "multipart whose header forgot the boundary": ("multipart/form-data", f"{parts}--x--\r\n".encode()),
        "multipart with another boundary in the header": ("multipart/form-data; boundary=y", f"{parts}--x--".encode()),
        "multipart under no name": ("", f"{parts}--x--\r\n".encode()),
        "multipart with bare line ends": (
            "multipart/form-data; boundary=x",
            f"{parts}--x--".replace("\r", "").encode(),
        ),
        "json": ("application/json", as_json),
        "json under a vendor's name": ("application/vnd.api+json", as_json),
        "json, as curl -d sends it": (FORM, as_json),
        "json in UTF-16": ("application/json; charset=utf-16", json.dumps(ADA).encode("utf-16")),
        "json with a byte order mark": ("application/json", b"\xef\xbb\xbf" + as_json),
        "json stringified twice": ("application/json", json.dumps(json.dumps(ADA)).encode()),
        "jQuery's serializeArray": ("application/json", json.dumps(named).encode()),
        "urlencoded under the name of json": ("application/json", urlencode(ADA).encode()),
        "fetch with no-cors, urlencoded": ("text/plain;charset=UTF-8", urlencode(ADA).encode()),
        "fetch with no-cors, json": ("text/plain;charset=UTF-8", as_json),
        "a form with enctype=text/plain": ("text/plain", lines),
        "no type at all": ("", urlencode(ADA).encode()),
        "octet-stream": ("application/octet-stream", as_json),
        "plain text in UTF-16": ("text/plain; charset=utf-16", lines.decode().encode("utf-16")),
    }


@pytest.mark.parametrize("which", bodies())
def test_every_encoding_is_the_same_lead(desk, client, which):
    content_type, body = bodies()[which]
    answer = client.post("/f/contact", data=body, content_type=content_type, headers=JSON)
    assert (answer.status_code, lead_count()) == (200, 1), answer.text
    lead = the_lead()
    assert (lead.name, lead.email, lead.message) == tuple(ADA.values())
    assert (lead.raw_body, lead.problems) == (body, [])


def test_the_same_words_in_another_encoding_are_a_double_click(desk, client):
    for content_type, body in bodies().values():
        client.post("/f/contact", data=body, content_type=content_type)
    assert sum(len(rows_of(lead)) for lead in db.session.scalars(select(Lead))) == 2


@pytest.mark.parametrize("packed", [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_packed_bodies_are_unpacked(desk, client, packed):
    name, pack = packed
    headers = {**JSON, "Content-Encoding": name}
    answer = client.post("/f/contact", data=pack(urlencode(ADA).encode()), content_type=FORM, headers=headers)
    assert (answer.status_code, the_lead().name) == (200, "Ada Lovelace")


def test_a_body_that_unpacks_to_more_than_the_limit_is_413(app_with):
    client = app_with(max_post_bytes=100_000).test_client()
    add_form()
    bomb = gzip.compress(b"message=" + b"x" * 5_000_000)
    answer = client.post("/f/contact", data=bomb, headers={**JSON, "Content-Encoding": "gzip"})
    assert (answer.status_code, code_of(answer)) == (413, "FILES_TOO_BIG")


@pytest.mark.parametrize(
    ("content_type", "encoding", "body", "status"),
    [
        ("image/png", "", b"\x89PNG = &", 415),
        ("application/xml", "", b"<lead name='Ada'/>", 415),
        (FORM, "br", b"name=Ada", 415),
        (FORM, "gzip", b"name=Ada", 400),
    ],
)
def test_what_cannot_be_read_says_so(desk, client, content_type, encoding, body, status):
    headers = {**JSON, "Content-Encoding": encoding}
    for _ in range(2):
        answer = client.post("/f/contact", data=body, content_type=content_type, headers=headers)
        assert (answer.status_code, answer.get_json()["ok"], lead_count()) == (status, False, 0)


@pytest.mark.parametrize("words", [b"{hello} please call me", b"[urgent] call me", b"just words", b"a <b> c"])
def test_words_in_plain_text_are_a_message(desk, client, words):
    client.post("/f/contact", data=words, content_type="text/plain")
    assert the_lead().message == words.decode()


# --- charsets


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("iso-8859-1", "Grüße – 5 €"),
        ("windows-1252", "Grüße – 5 €"),
        ("ISO-8859-2", "Żółć"),
        ("windows-1251", "Привет"),
        ("koi8-r", "Привет"),
        ("Shift_JIS", "こんにちは①"),
        ("euc-jp", "こんにちは"),
        ("gb2312", "你好"),
        ("big5", "你好"),
        ("euc-kr", "안녕"),
        ("utf-16", "Grüße"),
        ("windows-1256", "مرحبا"),
        ("windows-1255", "שלום"),
    ],
)
@pytest.mark.parametrize("how", ["header", "_charset_", "multipart", "part"])
def test_a_declared_charset_is_read(desk, client, charset, text, how):
    from leadapp.leads.charsets import codec_of

    raw = text.encode(codec_of(charset))
    quoted = "".join(f"%{byte:02X}" for byte in raw).encode()
    part = b'--x\r\nContent-Disposition: form-data; name="message"%s\r\n\r\n' + raw + b"\r\n"
    mark = b'--x\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\n%s\r\n' % charset.encode()
    own = b"\r\nContent-Type: text/plain; charset=" + charset.encode()
    content_type, body = {
        "header": (f"{FORM}; charset={charset}", b"message=" + quoted),
        "_charset_": (FORM, b"message=%s&_charset_=%s" % (quoted, charset.encode())),
        "multipart": ("multipart/form-data; boundary=x", mark + part % b"" + b"--x--"),
        "part": ("multipart/form-data; boundary=x", part % own + b"--x--"),
    }[how]
    client.post("/f/contact", data=body, content_type=content_type)
    assert the_lead().message == text


@pytest.mark.parametrize("charset", ["us-ascii", "shift_jis", "utf-7", "idna", "hex", "../x", "x" * 9000, "utf-99"])
def test_a_charset_that_lies_leaves_utf_8(desk, client, charset):
    body = "message=Grüße".encode()
    client.post("/f/contact", data=body, content_type=f"{FORM}; charset={charset}")
    lead = the_lead()
    assert lead.raw_body == body
    assert lead.message in ("Grüße", "GrÃ¼ÃŸe", body.decode("cp932").removeprefix("message="))


@pytest.mark.parametrize(
    "raw", [b"%C0%AF", b"%E0%80%AF", b"%F8%88%80%80%AF", b"%ED%A0%80", b"%FF", b"%", b"%zz", b"%00a"]
)
def test_overlong_and_broken_bytes_are_replaced_and_kept_raw(desk, client, raw):
    client.post("/f/contact", data=b"name=Ada&message=" + raw, content_type=FORM)
    lead = the_lead()
    assert "/" not in lead.message
    assert "\0" not in lead.message
    assert lead.raw_body.endswith(raw)


# --- names


def test_names_with_brackets_and_dots_stay_as_they_came(desk, client):
    names = {"lead[address][zip]": "1", "address.city": "2", "Straße 1": "3", "$x@y": "4"}
    client.post("/f/contact", data={**ADA, **names})
    assert the_lead().fields == names


@pytest.mark.parametrize("encoding", ["urlencoded", "multipart", "json"])
def test_a_checkbox_and_its_hidden_twin_keep_both_values(desk, client, encoding):
    twin = {**ADA, "agree": ["", "on"], "days[]": ["mon", "tue"]}
    posts = {
        "urlencoded": {"data": twin},
        "multipart": {"data": twin, "content_type": "multipart/form-data"},
        "json": {"json": twin},
    }
    client.post("/f/contact", **posts[encoding])
    payload = json.loads(the_lead().raw_payload)
    assert (payload["agree"], payload["days"]) == (["", "on"], ["mon", "tue"])


# --- paused


def test_a_paused_form_answers_as_always_and_holds_everything(app, client):
    add_desk()
    db.session.scalars(select(Form)).one().is_paused = True
    db.session.commit()
    assert client.post("/f/contact", data=ADA).status_code == 303
    assert {(row.state, row.held_reason) for row in rows_of(the_lead())} == {
        (DeliveryState.HELD, HeldReason.FORM_PAUSED)
    }


# --- limits


def test_the_bytes_from_one_address_are_limited(app_with):
    client = app_with(ratelimit_enabled=True, ratelimit_bytes="100000 per hour").test_client()
    add_form()
    large = {**ADA, "x": "y" * 40_000}
    answers = [client.post("/f/contact", json={**large, "n": n}, headers=JSON) for n in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 0 < int(answers[2].headers["Retry-After"]) <= 3600
    assert client.post("/submit", json=large, headers=JSON).status_code == 429
    assert lead_count() == 2


def test_small_posts_are_counted_by_their_number_alone(app_with):
    client = app_with(ratelimit_enabled=True, ratelimit_bytes="1000 per hour").test_client()
    add_form()
    answers = [client.post("/f/contact", json={**ADA, "n": n, "x": "y" * 900}, headers=JSON) for n in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]


def test_a_post_that_does_not_say_its_length_is_counted_by_its_bytes(app_with):
    client = app_with(ratelimit_enabled=True, ratelimit_bytes="5000 per hour", max_post_bytes=4000).test_client()
    add_form()

    def post(size: int) -> int:
        body = io.BytesIO(b"message=" + b"x" * size)
        return client.post("/f/contact", input_stream=body, **CHUNKED).status_code

    assert [post(100), post(3000), post(3000)] == [200, 200, 429]
    assert lead_count() == 2


def test_too_much_without_a_length_is_413(app_with):
    client = app_with(ratelimit_enabled=True, max_post_bytes=4000).test_client()
    add_form()
    answer = client.post("/f/contact", input_stream=io.BytesIO(b"message=" + b"x" * 5000), **CHUNKED)
    assert (answer.status_code, code_of(answer)) == (413, "FILES_TOO_BIG")


@pytest.mark.parametrize(
    ("limits", "fields", "code"),
    [
        ({"max_fields": 5}, {f"f{n}": "x" for n in range(6)}, "TOO_MANY_FIELDS"),
        ({"max_fields": 5}, {"f": ["x"] * 6}, "TOO_MANY_FIELDS"),
        ({"max_field_bytes": 50}, {"message": "ü" * 26}, "FIELD_TOO_BIG"),
        ({"max_field_bytes": 50}, {"n" * 51: "x"}, "FIELD_TOO_BIG"),
    ],
)
def test_limits_are_the_same_for_every_encoding(app_with, limits, fields, code):
    client = app_with(**limits).test_client()
    add_form()
    for post in ({"data": fields}, {"json": fields}, {"data": fields, "content_type": "multipart/form-data"}):
        answer = client.post("/f/contact", headers=JSON, **post)
        assert (answer.status_code, code_of(answer), lead_count()) == (413, code, 0)


def test_a_post_at_the_limit_is_taken(desk, client):
    fields = {f"field{n}": "x" for n in range(999)} | {"message": "x" * 1_000_000}
    files = {f"file{n}": (io.BytesIO(b"1"), f"{n}.txt") for n in range(10)}
    assert client.post("/f/contact", data={**fields, **files}, headers=JSON).status_code == 200
    assert db.session.scalar(select(func.count()).select_from(Document)) == 10


def test_an_error_about_a_limit_keeps_what_was_typed(app_with):
    client = app_with(max_files=1).test_client()
    add_form()
    files = {name: (io.BytesIO(b"1"), "a.txt") for name in ("cv", "photo")}
    page = client.post("/f/contact", data={**ADA, **files}).text
    assert "At most 1 files" in page
    assert 'value="Ada Lovelace"' in page
    assert 'name="photo" type="file"' in page
