"""What holds for every post: one content, one person, names and bodies that are read as they were written."""

import json
from urllib.parse import urlencode

from flask import Flask
from hypothesis import assume, given
from hypothesis import strategies as st

from leadapp.config import Settings
from leadapp.leads.duplicates import person_hash
from leadapp.leads.intake import NOT_CONTENT, _content_hash
from leadapp.leads.models import Form
from leadapp.leads.names import nested
from leadapp.leads.parsing import parse
from leadapp.leads.reading import Posted
from leadapp.rules.paths import path_of, value_at
from tests.lead_shapes import FEW

LIMITS = Settings(_env_file=None, app_env="test", secret_key="a test secret that is long enough to be one")
FORM = Form(id=1, key="gateway", person_keys=["email", "address.zip"])
WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=8)
NAMES = st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True)
PAYLOADS = st.dictionaries(NAMES, WORDS, min_size=1, max_size=6)


def content(payload, form=FORM):
    return _content_hash(form, Posted(payload))


@FEW
@given(PAYLOADS, st.randoms(use_true_random=False), st.sampled_from(sorted(NOT_CONTENT)), WORDS)
def test_the_same_answers_are_the_same_content_in_any_order_and_with_any_token(payload, random, token, word):
    shuffled = dict(random.sample(list(payload.items()), len(payload)))
    assert content({**shuffled, token: word}) == content(payload)


@FEW
@given(PAYLOADS, st.data(), WORDS)
def test_another_answer_name_or_form_is_other_content(payload, data, word):
    name = data.draw(st.sampled_from(sorted(payload)))
    assume(name not in NOT_CONTENT)
    more = {**payload, name: payload[name] + word}
    renamed = {f"{one}x" if one == name else one: value for one, value in payload.items()}
    hashes = {content(payload), content(more), content(renamed), content(payload, Form(id=2, key="other"))}
    assert len(hashes) == 4


@FEW
@given(local=WORDS, zip_code=WORDS, other=WORDS)
def test_a_person_is_one_in_any_case_and_however_they_are_blank(app: Flask, local, zip_code, other):
    assume(local.upper().casefold() == local.casefold())
    person = {"email": f"{local}@b.example", "address": {"zip": zip_code}}
    again = {"email": f" {local.upper()}@B.EXAMPLE  ", "address": {"zip": zip_code, "street": other}, "message": other}
    assert person_hash(FORM, again) == person_hash(FORM, person) != ""


@FEW
@given(local=WORDS, zip_code=WORDS, more=WORDS)
def test_another_key_field_or_form_is_another_person_and_a_missing_one_nobody(app: Flask, local, zip_code, more):
    def hashed(email=local, zip_code=zip_code, form=FORM):
        return person_hash(form, {"email": email, "address": {"zip": zip_code}})

    others = {hashed(), hashed(email=local + more), hashed(zip_code=zip_code + more)}
    assert len(others | {hashed(form=Form(id=2, key="x", person_keys=FORM.person_keys))}) == 4
    assert hashed(email=" ") == hashed(zip_code=None) == person_hash(Form(id=1, key="x", person_keys=[]), {}) == ""


@FEW
@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3), min_size=1, max_size=4), st.booleans())
def test_every_posted_name_is_found_by_its_path(paths, is_bracketed):
    posted = [f"{one[0]}{''.join(f'[{step}]' for step in one[1:])}" if is_bracketed else ".".join(one) for one in paths]
    payload = {name: str(number) for number, name in enumerate(posted)}
    tree = nested(payload)
    assert {name: value_at(tree, path_of(name)) for name in payload} == payload


@FEW
@given(PAYLOADS, st.sampled_from(["utf-8", "utf-16", "utf-16-le"]), st.booleans())
def test_json_is_read_as_it_was_written_in_every_charset(payload, charset, is_escaped):
    raw = json.dumps(payload, ensure_ascii=is_escaped).encode(charset)
    assert parse(f"application/json; charset={charset}", raw, LIMITS).payload == payload


@FEW
@given(st.dictionaries(NAMES, st.one_of(WORDS, st.lists(WORDS, min_size=2, max_size=3)), min_size=1, max_size=5))
def test_a_form_is_read_as_it_was_written(payload):
    assume("_charset_" not in payload)
    raw = urlencode(payload, doseq=True).encode()
    assert parse("application/x-www-form-urlencoded", raw, LIMITS).payload == payload
