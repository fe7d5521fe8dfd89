"""Bodies as forms and scripts send them."""

import json

import pytest

from leadapp.errors import PayloadError
from leadapp.leads.multipart import without_files
from leadapp.leads.parsing import parse
from tests.conftest import make_settings

FORM = "application/x-www-form-urlencoded"
LIMITS = make_settings()


def payload(content_type: str, raw: bytes) -> dict:
    return parse(content_type, raw, LIMITS).payload


@pytest.mark.parametrize(
    ("charset", "raw"),
    [
        ("utf-8", "Grüße"),
        ("iso-8859-1", "Grüße"),
        ("windows-1252", "Grüße – €"),
        ("shift_jis", "こんにちは"),
        ("utf-16", "Grüße"),
    ],
)
def test_a_declared_charset_is_read(charset, raw):
    from urllib.parse import quote_from_bytes

    body = b"message=" + quote_from_bytes(raw.encode(charset)).encode()
    assert payload(f"{FORM}; charset={charset}", body) == {"message": raw}


def test_the_charset_field_of_a_browser_is_read():
    assert payload(FORM, b"_charset_=windows-1252&name=Zo%EB")["name"] == "Zoë"


def test_bytes_that_fit_nothing_are_replaced_in_the_fields_and_kept_in_the_raw_copy():
    parsed = parse(FORM, b"name=%FF%FE", LIMITS)
    assert parsed.payload["name"] == "\ufffd\ufffd"
    assert parsed.raw == b"name=%FF%FE"


def test_a_charset_that_is_no_text_encoding_is_ignored():
    assert payload(f"{FORM}; charset=hex", b"name=Ada") == {"name": "Ada"}


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (b'{"a": 1, "a": 2}', {"a": [1, 2]}),
        (b'{"id": 12345678901234567890}', {"id": "12345678901234567890"}),
        (b'{"n": 1e999, "m": -Infinity}', {"n": "1e999", "m": "-Infinity"}),
        (b'\xef\xbb\xbf{"a": "bom"}', {"a": "bom"}),
        (rb'{"a": "\ud83d\ude00 \ud800"}', {"a": "😀 ?"}),
        (rb'{"a\u0000": "b\u0000"}', {"a": "b"}),
    ],
)
def test_odd_json_is_decided(raw, wanted):
    assert payload("application/json", raw) == wanted
    json.dumps(payload("application/json", raw), allow_nan=False)


def test_broken_json_says_where():
    with pytest.raises(PayloadError) as raised:
        parse("application/json", b'{"a": "",\n "b": }', LIMITS)
    assert "line 2, column 7" in raised.value.message


def test_plain_text_is_read_by_lines():
    assert payload("text/plain", b"name=Ada\r\nmessage=Just\r\nwords\r\n") == {"name": "Ada", "message": "Just\nwords"}
    assert payload("text/plain", b"Just words") == {"message": "Just words"}


def test_the_bytes_of_files_are_left_out_of_the_raw_copy():
    raw = (
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        b'--x\r\nContent-Disposition: form-data; name="f"; filename="f.bin"\r\n\r\nSECRET BYTES\r\n--x--\r\n'
    )
    kept = without_files(raw, b"x")
    assert b"SECRET" not in kept
    assert b'filename="f.bin"' in kept
    assert b'name="a"\r\n\r\n1' in kept


def test_a_part_without_a_name_is_kept():
    raw = b'--x\r\nContent-Disposition: form-data; name=""\r\n\r\nlost?\r\n--x--\r\n'
    assert payload("multipart/form-data; boundary=x", raw) == {"field": "lost?"}


@pytest.mark.parametrize("raw", [b"name=Ada&message=Hello+there", b'{"name": "Ada", "message": "Hello there"}'])
@pytest.mark.parametrize("header", ["multipart/form-data", "multipart/form-data; boundary=nowhere"])
def test_what_is_no_multipart_at_all_is_read_as_what_it_is(header, raw):
    assert payload(header, raw) == {"name": "Ada", "message": "Hello there"}
