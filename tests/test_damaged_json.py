"""JSON that broke on its way: what can be read is kept, with the problem noted; nothing readable stays a 400."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadapp.errors import PayloadError
from leadapp.extensions import db
from leadapp.leads.damaged_json import mended
from leadapp.leads.models import Lead
from leadapp.leads.parsing import parse
from tests.conftest import make_settings
from tests.factories import add_form

LIMITS = make_settings()


def parsed(text: str):
    return parse("application/json", text.encode(), LIMITS)


@pytest.mark.parametrize(
    ("text", "payload"),
    [
        ('{"email": "a@example.com", "message": "Hello wor', {"email": "a@example.com", "message": "Hello wor"}),
        ('{"email": "a@example.com", "message"', {"email": "a@example.com"}),
        ('{"email": "a@example.com", "message": ', {"email": "a@example.com"}),
        ('{"email": "a@example.com",}', {"email": "a@example.com"}),
        ('{"email": "a@example.com", name: "x"}', {"email": "a@example.com"}),
        ('{"email": "a@example.com"} and more', {"email": "a@example.com"}),
        ('{"m": "quote \\"', {"m": 'quote "'}),
        ('{"m": "half an escape \\u00', {"m": "half an escape "}),
        ('{"m": "two\nlines"}', {"m": "two\nlines"}),
        (
            '{"lead": {"email": "a@example.com", "tags": ["a", "b',
            {"lead": {"email": "a@example.com", "tags": ["a", "b"]}},
        ),
        ('{"a": 1, "b": 12', {"a": 1}),
        ('{"a": true, "b": tru', {"a": True}),
    ],
)
def test_what_came_before_the_fault_is_kept(text, payload):
    found = parsed(text)
    assert found.payload == payload
    assert [problem["code"] for problem in found.problems] == ["DAMAGED_BODY"]


@pytest.mark.parametrize("text", ["{", '{"a"', '{"a": ', '{"a": "', "{'a': 1}", "[", "[1, 2", "{]", "nonsense"])
def test_what_holds_nothing_readable_is_refused_with_the_place_of_the_fault(text):
    with pytest.raises(PayloadError) as refused:
        parsed(text)
    assert refused.value.status == 400
    assert refused.value.code in ("INVALID_JSON", "EMPTY")


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=8) | st.integers(), max_size=4), st.integers(0, 80))
@settings(max_examples=60)
def test_no_cut_breaks_it_and_whole_json_stays_as_it_is(payload, at):
    text = json.dumps(payload)
    assert json.loads(mended(text)) == payload
    cut = mended(text[:at])
    kept = json.loads(cut) if cut else {}
    assert kept.keys() <= payload.keys()


@pytest.mark.parametrize("text", ['{"a":' * 200_000, '["' * 500_000, '{"a": "' + "\\" * 999_999, "[1," * 500_000])
def test_a_body_made_to_be_slow_is_not(text):
    began = time.process_time()
    mended(text)
    assert time.process_time() - began < 1


def test_a_truncated_post_becomes_a_lead_that_says_so(app, client):
    add_form()
    db.session.remove()
    body = '{"email": "ada@example.com", "message": "I need a ca'
    answer = client.post("/f/contact", data=body, content_type="application/json")
    assert answer.status_code == 200
    lead = db.session.query(Lead).one()
    assert (lead.email, lead.message) == ("ada@example.com", "I need a ca")
    assert lead.problems[0]["code"] == "DAMAGED_BODY"
    assert lead.raw_body == body.encode()
