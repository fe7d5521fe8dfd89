"""The strict JSON reader: what it takes, what it refuses and where, and that it never breaks."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leadapp.errors import PayloadError
from leadapp.leads import json_bodies
from leadapp.leads.json_bodies import strict


def fault(raw: bytes, charset: str = "") -> PayloadError:
    with pytest.raises(PayloadError) as caught:
        strict(raw, charset)
    return caught.value


@pytest.mark.parametrize(
    ("raw", "code", "position"),
    [
        (b"", "INVALID_JSON", (1, 1, 0)),
        (b"  \n", "INVALID_JSON", (2, 1, 3)),
        (b"{", "INVALID_JSON", (1, 2, 1)),
        (b'{"a": 1} trailing', "INVALID_JSON", (1, 10, 9)),
        (b'{"a": 1}{"a": 1}', "INVALID_JSON", (1, 9, 8)),
        (b'{"a": 1,}', "INVALID_JSON", (1, 9, 8)),
        (b"{'a': 1}", "INVALID_JSON", (1, 2, 1)),
        (b'{"a": NaN}', "INVALID_JSON", (1, 7, 6)),
        (b'{"a": NaNx, b c: 1}', "INVALID_JSON", (1, 7, 6)),
        (b'{"a": -Infinity1, 2 3: 4}', "INVALID_JSON", (1, 7, 6)),
        (b"[1,\n -Infinity]", "INVALID_JSON", (2, 2, 5)),
        ('{"ä": Infinity}'.encode(), "INVALID_JSON", (1, 7, 7)),
        (b'{"a": 01}', "INVALID_JSON", (1, 8, 7)),
        (b'{"a": "line\nbreak"}', "INVALID_JSON", (1, 12, 11)),
        (b'{"a": "nul\0"}', "INVALID_JSON", (1, 11, 10)),
        (b'{"a": "\\x41"}', "INVALID_JSON", (1, 8, 7)),
        (b'{"a": 1, "b": {"c": 1,\n"c": 2}}', "DUPLICATE_KEY", (2, 1, 23)),
        (b'{"a": 1, "\\u0061": 2}', "DUPLICATE_KEY", (1, 10, 9)),
        (b"[" * 33 + b"]" * 33, "TOO_DEEP", (1, 33, 32)),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "TOO_DEEP", (1, 161, 160)),
        (b"[" * 100_000, "TOO_DEEP", (1, 33, 32)),
        (b'{"a":' * 100_000, "TOO_DEEP", (1, 161, 160)),
        (b'{"a": "\xff"}', "INVALID_ENCODING", (1, 8, 7)),
        (b"\xef\xbb\xbf{", "INVALID_JSON", (1, 2, 4)),
        ("\ufeff{".encode("utf-16-le"), "INVALID_JSON", (1, 2, 4)),
        ('{"a": x}'.encode("utf-32-be"), "INVALID_JSON", (1, 7, 24)),
        ('{"a": 1}'.encode("utf-16-le") + b"\x00\xd8", "INVALID_ENCODING", (1, 9, 16)),
    ],
)
def test_what_is_refused_is_refused_with_its_place(raw, code, position):
    found = fault(raw)
    assert (found.status, found.code) == (400, code)
    assert tuple(found.position[name] for name in ("line", "column", "offset")) == position


def test_a_fault_names_its_field():
    assert fault(b'{"lead": {"zip": 1, "zip": 2}}').field == "lead.zip"
    assert fault(b'{"lead": [{"score": NaN}]}').field == "lead.score"


def test_the_first_fault_is_the_one_that_is_told():
    assert fault(b'{"a": NaN, "b": 1, "b": 2}').code == "INVALID_JSON"
    assert fault(b'{"b": 1, "b": 2, "a": NaN}').code == "DUPLICATE_KEY"


@pytest.mark.parametrize(
    ("raw", "charset", "read"),
    [
        (b'{"a": 32}', "", {"a": 32}),
        (b"[" * 32 + b"]" * 32, "", json.loads("[" * 32 + "]" * 32)),
        (b'{"id": 9223372036854775807}', "", {"id": "9223372036854775807"}),
        (b'{"n": ' + b"7" * 10_000 + b"}", "", {"n": "7" * 10_000}),
        (b'{"n": -' + b"7" * 10_000 + b".5}", "", {"n": "-" + "7" * 10_000 + ".5"}),
        (b'{"n": 1e999, "m": -1e999, "l": 1e-999}', "", {"n": "1e999", "m": "-1e999", "l": "1e-999"}),
        (b'{"n": 0.1234567890123456789, "m": 0.5, "z": 0.0}', "", {"n": "0.1234567890123456789", "m": 0.5, "z": 0.0}),
        (b'{"a": "x\\u0000y", "b\\u0000": 1}', "", {"a": "xy", "b": 1}),
        (b'{"a": "\\ud800", "b": "\\ud83d\\ude00"}', "", {"a": "?", "b": "😀"}),
        (b'{"a\\u0000": 1, "a": 2}', "", {"a": [1, 2]}),
        (b"\xef\xbb\xbf" + '{"a": "ä"}'.encode(), "", {"a": "ä"}),
        ('{"a": "ä"}'.encode("utf-16"), "", {"a": "ä"}),
        ('{"a": "ä"}'.encode("utf-16-be"), "utf-8", {"a": "ä"}),
        ('{"a": "ä"}'.encode("utf-32"), "", {"a": "ä"}),
        ('{"a": "ä"}'.encode("utf-32-le"), "latin-1", {"a": "ä"}),
        ('{"a": "ä"}'.encode(), "iso-8859-1", {"a": "ä"}),
        ('{"a": "ä"}'.encode(), "utf-99", {"a": "ä"}),
        ('{"a": "ä€"}'.encode("cp1252"), "iso-8859-1", {"a": "ä€"}),
        ('{"a": "日本"}'.encode("cp932"), "Shift_JIS", {"a": "日本"}),
        (b" \t\r\n[]\n", "", []),
        (b'"text"', "", "text"),
    ],
)
def test_what_is_taken_is_read_whole(raw, charset, read):
    assert strict(raw, charset) == read


def test_forms_and_the_gateway_read_the_same_values():
    text = '{"a": 1e999, "id": 12345678901234567890, "f": 0.1234567890123456789, "n": 1.5, "t": [true, null]}'
    assert json_bodies.cleaned(json_bodies.tolerant(text)) == strict(text.encode())


def test_a_form_may_be_sloppier():
    assert json_bodies.tolerant('{"a": NaN, "a": 1}') == {"a": ["NaN", 1]}


def test_a_megabyte_of_commas_is_refused_quickly():
    raw = b'{"a": [' + b"1," * 400_000 + b'1], "a": 1}'
    assert fault(raw).code == "DUPLICATE_KEY"


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**14), 10**14) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=4), inner, max_size=4),
    max_leaves=15,
)
no_nul = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


@settings(max_examples=60)
@given(
    st.binary(max_size=60)
    | st.text('{}[]",:\\ntru1eNaIfy-.\0 ä\ud800', max_size=40).map(lambda t: t.encode("utf-8", "surrogatepass")),
    st.sampled_from(["", "utf-8", "latin-1", "utf-16", "x"]),
)
@example(b"\xff\xfe", "")
@example(b"\0\0\0{", "")
@example(b"\xfe\xff\xd8", "")
def test_no_bytes_break_the_reader(raw, charset):
    found = None
    try:
        strict(raw, charset)
    except PayloadError as error:
        found = error
    if found:
        assert found.status == 400
        assert min(found.position["line"], found.position["column"]) >= 1
        assert 0 <= found.position["offset"] <= len(raw)


@settings(max_examples=40)
@given(values, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"]))
def test_what_json_writes_is_read_back_in_every_unicode_encoding(value, encoding):
    text = json.dumps({"v": value}, ensure_ascii=False)
    assert strict(text.encode(encoding)) == json_bodies.cleaned({"v": value})


@settings(max_examples=40)
@given(st.from_regex(r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,5})?", fullmatch=True))
def test_no_number_changes_its_digits(text):
    """It stays the text, or it is a number that stands for exactly the same."""
    from decimal import Decimal

    read = strict(text.encode())
    assert read == text or Decimal(repr(read)) == Decimal(text)


@settings(max_examples=30)
@given(no_nul, st.integers(0, 40))
def test_the_place_of_a_fault_is_where_it_stands(before, blanks):
    head = json.dumps({"a": before}, ensure_ascii=False)[:-1] + "," + " " * blanks + "\n"
    found = fault((head + "NaN}").encode())
    assert found.position["offset"] == len(head.encode())
