"""Bad input: never a 5xx, never a lost lead, always the same answer twice (issue 3, "What it must show", 2 and 3)."""

import json
from urllib.parse import quote_from_bytes, quote_plus

import pytest
from flask import Flask
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from leadapp.errors import PayloadError
from leadapp.extensions import db
from leadapp.leads.charsets import CODECS, codec_of, decode
from leadapp.leads.models import Form, Lead
from leadapp.leads.multipart import boundary_of, read_parts, without_files
from leadapp.leads.names import nested, path_of, value_at
from leadapp.leads.parsing import parse, refuse_excess
from tests.conftest import make_settings
from tests.factories import add_desk

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"
JSON = {"Accept": "application/json"}
HTML = {"Accept": "text/html"}
LIMITS = make_settings()
LOOSE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


@pytest.fixture
def desk(app) -> Form:
    form, _, _ = add_desk()
    return form


def lead_count() -> int:
    db.session.expire_all()
    return db.session.scalar(select(func.count()).select_from(Lead)) or 0


def part(name: str, value: str, more: str = "") -> str:
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'


WHOLE = part("name", "Ada") + part("message", "Hello") + "--x--\r\n"
MANY = "&".join(f"f{number}=x" for number in range(10_000))

KEPT = {
    "a part without a name": (MULTIPART, part("", "Ada") + "--x--"),
    "a part without any header": (MULTIPART, "--x\r\n\r\nlost\r\n" + WHOLE),
    "a part with a broken header": (MULTIPART, "--x\r\nContent-Disp\r\n\r\nlost\r\n" + WHOLE),
    "a part with a header of raw bytes": (
        MULTIPART,
        b'--x\r\nContent-Disposition: form-data; name="\xff\xfe"\r\n\r\n1\r\n' + WHOLE.encode(),
    ),
    "a file whose name breaks out": (MULTIPART, part("f", "1", '; filename="a\\"\r\nX: y"') + WHOLE),
    "a preamble and an epilogue": (MULTIPART, "hello\r\n" + WHOLE + "goodbye"),
    "a boundary inside a value": (MULTIPART, part("message", "a --x b\r\n--xy\r\nc") + "--x--"),
    "cut off in a value": (MULTIPART, WHOLE[:70]),
    "cut off in the second head": (MULTIPART, WHOLE[:75]),
    "cut off before the end mark": (MULTIPART, WHOLE[:-8]),
    "nested multipart": (MULTIPART, part("a", "--y\r\n\r\nb\r\n--y--") + "--x--"),
    "1,000 fields": (FORM, "&".join(MANY.split("&")[:1000])),
    "deep brackets": (FORM, "a" + "[b]" * 10_000 + "=x"),
    "deep dots": (FORM, "a" + ".b" * 10_000 + "=x"),
    "broken brackets": (FORM, "a[[b]=1&[c]=2&d]=3&[]=4&=5&.=6&e[=7"),
    "a name of almost 1 MB": (FORM, "n" * 999_000 + "=x"),
    "a name of almost 1 MB in a part": (MULTIPART, part("n" * 999_000, "Ada") + "--x--"),
    "a value of 1 MB": (FORM, "message=" + "x" * 1_000_000),
    "many & and =": (FORM, "&&=&name=Ada&==&&a==b&"),
    "semicolons": (FORM, "name=Ada;message=Hi"),
    "two types": (f"{FORM}, application/json", "name=Ada"),
    "a type of rubbish": (";;;=,\x0b", "name=Ada"),
    "headers injected": (FORM, "email=a%40b.example%0D%0ABcc%3Ax&name=a%0D%0ASubject%3A+x&_subject=%0D%0A%0D%0Abody"),
    "right to left": (FORM, "name=%E2%80%AEecila&email=%E2%80%AEmoc.elpmaxe%40ada"),
    "formulas and templates": (FORM, "name=%3Dcmd%7C%27%2Fc%27&message={{7*7}}${7*7}<%= 7*7 %>"),
    "numbers as names and values": ("application/json", '{"1": 2, "phone": 491701234567, "x": 1e400, "y": -0.0}'),
    "JSON with every kind": (
        "application/json",
        '{"a": [null, true, {"b": []}], "email": {"c": 1}, "name": ["x", ["y"]]}',
    ),
    "JSON that closes late": ("application/json", '{"a": ' + '{"b": ' * 25 + "1" + "}" * 26),
    "special fields of every kind": (
        "application/json",
        '{"_next": {"a": 1}, "_subject": [1], "_cc": {"x": "a@b.example"}, "from_name": [[]], "_format": 3, "x": "y",'
        ' "_replyto": false, "_test": [], "_gotcha": {}, "utm_source": {"a": "b"}, "access_key": ["z"]}',
    ),
}
REFUSED = {
    "10,000 fields": (FORM, MANY, 413),
    "10,000 parts": (MULTIPART, part("a", "b") * 10_000 + "--x--", 413),
    "10,000 values in JSON": ("application/json", json.dumps({"a": list(range(10_000))}), 413),
    "a name of more than 1 MB": (FORM, "n" * 1_000_001 + "=x", 413),
    "JSON nested without end": ("application/json", '{"a":' * 100_000, 400),
    "lists without end": ("application/json", "[" * 100_000, 400),
    "a boundary and nothing": (MULTIPART, "--x--\r\n", 400),
    "only an empty file": (MULTIPART, part("f", "", '; filename=""') + "--x--", 400),
    "null": ("application/json", "null", 400),
    "spaces": (FORM, " \r\n\t ", 400),
    "a picture": ("image/png", "\x89PNG\r\n\x1a\n", 415),
}


def sent(body) -> bytes:
    return body if isinstance(body, bytes) else body.encode()


@pytest.mark.parametrize("which", KEPT)
def test_what_can_be_read_is_a_lead_and_the_answer_is_the_same_twice(desk, client, which):
    content_type, body = KEPT[which]
    for number in (1, 2):
        answer = client.post("/f/contact", data=sent(body), content_type=content_type, headers=JSON)
        assert (answer.status_code, answer.get_json()["ok"], lead_count()) == (200, True, number), answer.text[:300]
    assert client.post("/f/contact", data=sent(body), content_type=content_type, headers=HTML).status_code == 303


@pytest.mark.parametrize("which", REFUSED)
def test_what_cannot_be_a_lead_says_why_twice(desk, client, which):
    content_type, body, status = REFUSED[which]
    first, second = (client.post("/f/contact", data=sent(body), content_type=content_type, headers=JSON) for _ in "ab")
    assert (first.status_code, first.get_json()) == (status, second.get_json())
    assert (second.status_code, lead_count()) == (status, 0)
    page = client.post("/f/contact", data=sent(body), content_type=content_type, headers=HTML)
    assert (page.status_code, page.mimetype) == (status, "text/html")


def test_a_damaged_part_costs_itself_at_most(desk, client):
    body = part("name", "Ada") + "--x\r\nrubbish\r\n" + part("email", "ada@example.com") + part("message", "cut of")
    client.post("/f/contact", data=body.encode(), content_type=MULTIPART)
    lead = db.session.scalars(select(Lead)).one()
    assert (lead.name, lead.email, lead.message.strip()) == ("Ada", "ada@example.com", "cut of")
    assert [problem["code"] for problem in lead.problems] == ["DAMAGED_BODY"]
    assert lead.raw_body == body.encode()


@pytest.mark.parametrize("header", ["Content-Type", "Idempotency-Key", "Origin", "Referer", "Accept", "User-Agent"])
@pytest.mark.parametrize(
    "value", ["", "\xff\xfe", "x" * 20_000, "a, b, a", "\x00", "%0d%0aX: y", "*/*;q=zz, ;;,=", "../.."]
)
def test_no_header_breaks_a_post(desk, client, header, value):
    for _ in range(2):
        answer = client.post("/f/contact", data=b"name=Ada", environ_overrides=_environ(header, value))
        assert answer.status_code in (200, 303), answer.text[:300]
    assert lead_count() == (1 if header == "Idempotency-Key" and value.strip("\0") else 2)


def _environ(header: str, value: str) -> dict[str, str]:
    name = header.upper().replace("-", "_")
    return {"CONTENT_TYPE": FORM} | {name if name == "CONTENT_TYPE" else f"HTTP_{name}": value}


@pytest.mark.parametrize("address", ["/f/contact", "/submit", "/", "/f/nobody", "/f/" + "k" * 5000, "/f/%00", "/f/%FF"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "POST"])
def test_no_method_breaks_an_address(desk, client, address, method):
    statuses = {client.open(address, method=method, data=b"").status_code for _ in range(2)}
    assert len(statuses) == 1
    assert statuses.pop() < 500


def test_a_post_that_breaks_off_is_no_lead_and_no_server_error(desk, client):
    environ = {"CONTENT_LENGTH": "5000"}
    answer = client.post("/f/contact", data=b"name=Ada", content_type=FORM, headers=JSON, environ_overrides=environ)
    assert (answer.status_code, lead_count()) == (400, 0)


# --- properties: round trips

word = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=40)
name = word.filter(
    lambda text: text.strip() == text and not text.endswith("[]") and text != "_charset_" and "\ufeff" not in text
)
typed = st.dictionaries(name, word, min_size=1, max_size=6).filter(
    lambda all_: any(one.strip() for one in all_.values())
)
odd = st.dictionaries(
    st.text(max_size=20), st.text(max_size=40) | st.integers() | st.none() | st.lists(st.text(max_size=5))
)


def payload(content_type: str, raw: bytes) -> dict:
    return parse(content_type, raw, LIMITS).payload


@given(typed)
def test_urlencoded_comes_back(fields):
    raw = "&".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in fields.items())
    assert payload(FORM, raw.encode()) == fields


@given(typed)
def test_json_comes_back(fields):
    for ascii_only in (True, False):
        raw = json.dumps(fields, ensure_ascii=ascii_only)
        assert payload("application/json", raw.encode()) == fields
        assert payload("application/json; charset=utf-16", raw.encode("utf-16")) == fields


def escaped(text: str) -> str:
    """As browsers write a name (WHATWG HTML, multipart/form-data)."""
    return text.replace('"', "%22").replace("\n", "%0A")


@given(typed.filter(lambda all_: not any("\\" in key or "%" in key or "\n" in key for key in all_)))
@example({'a"b': "--x\n--x--"})
def test_multipart_comes_back(fields):
    fields = {key: value.replace("--x", "") or "y" for key, value in fields.items()}
    raw = "".join(part(escaped(key), value) for key, value in fields.items()) + "--x--\r\n"
    assert payload(MULTIPART, raw.encode()) == fields


@given(
    st.dictionaries(
        name.filter(lambda text: not set(text) & set("=\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")), word, min_size=1
    )
)
def test_plain_text_comes_back(fields):
    fields = {key: f"a {value.replace('=', '')} b" for key, value in fields.items()}
    raw = "".join(f"{key}={value}\r\n" for key, value in fields.items())
    if raw[:1] not in '{["':
        assert payload("text/plain; charset=utf-8", raw.encode()) == fields


@given(st.sampled_from(sorted(set(CODECS))), st.binary(max_size=60))
def test_any_bytes_in_any_charset_are_text_that_a_database_takes(charset, raw):
    text = decode(raw, charset)
    assert "\0" not in text
    assert text.encode().decode() == text
    try:
        known = raw.decode(codec_of(charset))
    except UnicodeDecodeError:
        return
    if known.isprintable():
        assert payload(f"{FORM}; charset={charset}", b"a=b&x=" + quote_from_bytes(raw).encode())["x"] == text == known


@given(
    st.binary(max_size=300),
    st.sampled_from([FORM, MULTIPART, "multipart/form-data", "application/json", "text/plain", "", "a/b"]),
)
@example(b"--x\r\nContent-Disposition: form-data; filename\r\n\r\n", MULTIPART)
def test_any_bytes_are_read_or_refused(raw, content_type):
    try:
        parsed = parse(content_type, raw, LIMITS)
        refuse_excess(parsed, LIMITS)
    except PayloadError as error:
        if error.status >= 500:
            raise
        return
    assert json.dumps(parsed.payload, allow_nan=False)
    assert parsed == parse(content_type, raw, LIMITS) or parsed.files


@given(st.lists(st.tuples(st.sampled_from(["field", "file"]), st.binary(max_size=40)), max_size=5), st.integers(0, 400))
def test_the_raw_copy_holds_every_field_and_no_file(pieces, cut):
    raw = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="n"%s\r\n\r\nSTART%sEND\r\n'
        % (b'; filename="f"' if kind == "file" else b"", content.replace(b"--x", b""))
        for kind, content in pieces
    )[: 400 - cut]
    kept = without_files(raw, boundary_of(raw, "x"))
    for one in read_parts(raw, b"x", "")[0]:
        if one.filename is None:
            assert one.content in kept
    if not any(kind == "field" for kind, _ in pieces):
        assert b"START" not in kept.replace(b'name="n"', b"")


@given(odd | typed, st.sampled_from(["json", "data"]))
@LOOSE
def test_any_fields_are_a_lead_or_a_reason(app: Flask, fields, how):
    if not db.session.scalar(select(Form.id)):
        add_desk()
    client = app.test_client()
    clean = {key: value for key, value in fields.items() if how == "json" or isinstance(value, str)}
    try:
        first, second = (client.post("/f/contact", headers=JSON, **{how: clean}) for _ in range(2))
    except UnicodeEncodeError:
        return  # the test client's own, for a lone surrogate
    assert first.status_code == second.status_code
    assert first.status_code in (200, 400)


# --- names as paths


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("lead[address][zip]", ("lead", "address", "zip")),
        ("lead.address.zip", ("lead", "address", "zip")),
        ("lead[address].zip", ("lead", "address", "zip")),
        ("items[][sku]", ("items", "sku")),
        ("items[0][sku]", ("items", "0", "sku")),
        ("e-mail", ("e-mail",)),
        ("How can we help?", ("How can we help?",)),
        ("a..b", ("a..b",)),
        ("[a]", ("[a]",)),
        ("a[b", ("a[b",)),
        ("a]b[", ("a]b[",)),
        ("", ("",)),
    ],
)
def test_a_name_is_a_path(written, path):
    assert path_of(written) == path


@pytest.mark.parametrize(
    "payload",
    [
        {"lead[address][zip]": "1", "lead[name]": "Ada"},
        {"lead.address.zip": "1", "lead.name": "Ada"},
        {"lead": {"address": {"zip": "1"}, "name": "Ada"}},
        {"lead": {"name": "Ada"}, "lead[address][zip]": "1", "_next": "/x"},
    ],
)
def test_one_nested_field_is_found_by_any_of_its_names(payload):
    for written in ("lead[address][zip]", "lead.address.zip", "address.zip", "address[zip]"):
        assert value_at(payload, written) == "1"
    assert value_at(payload, "zip") is None


def test_a_value_beside_its_own_branch_is_kept():
    assert nested({"a": "1", "a[b]": "2", "a.c": "3"}) == {"a": {"": "1", "b": "2", "c": "3"}}
    assert nested({"a[b]": "2", "a": "1"}) == {"a": {"b": "2", "": "1"}}
    assert nested({"a.b": "1", "a[b]": "2"}) == {"a": {"b": ["1", "2"]}}


paths = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(lambda steps: ".".join(steps))


def leaves(value) -> list:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return [value] if children is None else [leaf for child in children for leaf in leaves(child)]


@given(st.dictionaries(paths | name, st.integers() | st.dictionaries(paths, st.integers()), max_size=8))
def test_the_tree_loses_no_value(payload):
    assert sorted(leaves(nested(payload))) == sorted(leaves(payload))


@given(
    st.text(st.sampled_from("ab[].\0é"), max_size=200)
    | st.lists(st.sampled_from("abé"), min_size=28, max_size=40).map(".".join)
)
def test_any_name_is_a_path_of_at_most_32_steps(text):
    assert 1 <= len(path_of(text)) <= 32


BROKEN = [
    "//[",
    "http://[::1",
    "http://[x",
    "https://a:b:c/",
    "http://\u2100.example",
    "//\ufe55@x",
    "http://[v1.x]",
    "a b",
]


@pytest.mark.parametrize("address", BROKEN)
@pytest.mark.parametrize("field", ["page_url", "source_url", "landing_page", "referrer", "_next", "_replyto", "_cc"])
def test_an_address_that_is_none_costs_no_lead(desk, client, field, address):
    body = {"name": "Ada", "email": "ada@home.example", "_subject": "From %{siteName}", field: address}
    answers = [client.post("/f/contact", data=body, headers=JSON) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert lead_count() == 2


@pytest.mark.parametrize("address", ["//[", "http://[::1", "http://[x", "https://a:b:c/"])
@pytest.mark.parametrize("header", ["Referer", "Origin"])
def test_a_broken_referer_or_origin_costs_no_lead(desk, client, header, address):
    answer = client.post("/f/contact", data={"name": "Ada"}, headers={header: address, **HTML})
    assert (answer.status_code, lead_count()) == (303, 1)
    assert client.get("/f/contact/thanks", headers={header: address}).status_code == 200


SPECIAL_FIELDS = st.sampled_from(
    "_next _redirect retURL _replyto _subject subject from_name _cc ccemail _format _language utm_source gclid wbraid "
    "referrer page_url source_url landing_page lead_source _test _made access_key email phone name".split()
)
NASTY = st.sampled_from([*BROKEN, "\r\nBcc: x@y.example", "%{siteName}%{x}", "\u202e", "=1+1", "@", "[", "😀" * 300])


@LOOSE
@given(st.dictionaries(SPECIAL_FIELDS, NASTY | st.text(max_size=20), min_size=1, max_size=5))
def test_no_value_of_a_special_field_breaks_a_post(app: Flask, desk, payload):
    answer = app.test_client().post("/f/contact", json={**payload, "message": "Hello"}, headers=JSON)
    assert answer.status_code == 200, payload
