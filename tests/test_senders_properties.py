"""What holds for every body of every sender: nothing breaks, nothing is lost, nobody gets in without the secret."""

import base64
import contextlib
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlencode

from hypothesis import example, given, settings
from hypothesis import strategies as st

from leadapp.config import Settings
from leadapp.errors import PayloadError
from leadapp.leads import json_bodies
from leadapp.leads.field_payload import as_text
from leadapp.leads.parsing import parse
from leadapp.leads.senders import SENDERS, sender_of
from leadapp.leads.senders.blanking import raw_without_secrets, without_secrets
from leadapp.leads.senders.proofs import is_same
from tests.conftest import make_settings
from tests.sender_payloads import GOOGLE, META, PAYLOADS, TALLY, TYPEFORM, payload, signed

LIMITS: Settings = make_settings()
# Texts that say nothing else, so that one of them is found again only where it was put
answer_texts = st.text(st.sampled_from("bcdfghkäß漢"), min_size=4, max_size=12)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0_"), min_size=1, max_size=12)
keys = st.sampled_from(
    "data fields answers form_response user_column_data entry object page lead_id Field1 EntryId definition field "
    "changes value values key label options submission payload additional_fields contact_name eventType responseId "
    "hidden token type text choice choices labels id title string_value column_id name objectTypeId context "
    "fields[a][value] fields[a] meta[x] google_key FieldStructure FORM_RESPONSE leadgen".split()
)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(0, 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | keys
    | names
    | st.just("{"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys | names, inner, max_size=5),
    max_leaves=25,
)
secrets = st.text(min_size=1, max_size=30)


def read(parsed: Any) -> tuple[str, list[Any]]:
    sender = sender_of(parsed, {})
    return sender.name, sender.leads(without_secrets(parsed))


def are_leads(leads: list[Any]) -> bool:
    names = [name for lead in leads for name in lead.payload]
    return all(isinstance(text, str) for text in [*names, *(lead.external_id for lead in leads)])


def said(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


@settings(max_examples=150)
@given(anything)
def test_no_body_breaks_any_reader(parsed):
    with contextlib.suppress(PayloadError):
        read(parsed)
    for sender in SENDERS.values():  # a form may be pinned to any of them
        if sender.recognises(parsed, {}):
            try:
                leads = sender.leads(parsed)
            except PayloadError:
                continue
            assert are_leads(leads)


@settings(max_examples=80)
@given(st.sampled_from(sorted(PAYLOADS)), st.data())
def test_a_damaged_payload_of_a_sender_breaks_nothing(name, data):
    """Any one value of a real payload replaced by anything."""
    parsed = payload(name)
    place: Any = parsed
    while True:
        at = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[at], dict | list) or not place[at] or data.draw(st.booleans()):
            break
        place = place[at]
    place[at] = data.draw(anything)
    try:
        _, leads = read(parsed)
    except PayloadError:
        return
    assert are_leads(leads)


@settings(max_examples=60)
@given(st.lists(st.tuples(names, answer_texts), min_size=1, max_size=6))
def test_no_answer_is_lost_whoever_sends_it(pairs):
    """The same questions and answers through each sender's shape: every text is in what is kept as an answer."""
    rows = [
        {"key": f"q{n}", "id": f"q{n}", "title": name, "label": name, "name": name, "column_id": name}
        for n, (name, _) in enumerate(pairs)
    ]
    texts = [text for _, text in pairs]
    google = {**GOOGLE, "user_column_data": [{"column_id": n, "string_value": text} for n, text in pairs]}
    tally = {
        **TALLY,
        "data": {
            "fields": [{**row, "type": "INPUT_TEXT", "value": text} for row, text in zip(rows, texts, strict=True)]
        },
    }
    answers = [
        {"type": "text", "text": text, "field": {"id": row["id"]}} for row, text in zip(rows, texts, strict=True)
    ]
    typeform = {"form_response": {"definition": {"fields": rows}, "answers": answers}}
    hubspot = {"fields": [{"objectTypeId": "0-1", "name": name, "value": text} for name, text in pairs]}
    wufoo = {"EntryId": "1", **{f"Field{n}": text for n, text in enumerate(texts)}}
    elementor = {
        f"fields[x{n}][{part}]": {"title": name, "value": text}[part]
        for n, (name, text) in enumerate(pairs)
        for part in ("title", "value")
    }
    inside = {f"x{n}": text for n, text in enumerate(texts)}
    hidden = {"form_response": {"hidden": inside}}
    for name, parsed in (
        ("google_ads", google), ("tally", tally), ("typeform", typeform), ("typeform", hidden), ("hubspot", hubspot),
        ("wufoo", wufoo), ("elementor", elementor), ("elementor", {"fields[a][value]": "-", **inside}), ("wrapped", {"data": inside}), ("flat", inside),
    ):  # fmt: skip
        found, (lead,) = read(parsed)
        assert found == name
        kept = [as_text(value) for key, value in lead.payload.items() if key != "_sender"]
        assert all(any(text in one for one in kept) for text in texts)


@settings(max_examples=60)
@given(anything)
def test_the_same_body_is_read_the_same_twice(parsed):
    def once() -> str:
        try:
            return said([(lead.payload, lead.external_id, lead.is_test, lead.problems) for lead in read(parsed)[1]])
        except PayloadError as error:
            return error.code

    before = said(parsed)
    assert once() == once()
    assert said(parsed) == before  # and reading changes nothing


@settings(max_examples=40)
@given(st.integers(0, 2**63 - 1))
def test_an_id_of_64_bits_stays_what_it_was(number):
    for body, name in (
        ({**GOOGLE, "lead_id": number}, "google_ads"),
        ({"object": "page", "entry": [{"changes": [{"field": "leadgen", "value": {"leadgen_id": number}}]}]}, "meta"),
        ({"lead_id": number, "contact_name": "Ada"}, "whatconverts"),
    ):
        parsed = json_bodies.strict(json.dumps(body).encode())
        found, (lead,) = read(parsed)
        assert (found, lead.external_id) == (name, str(number))


@settings(max_examples=40)
@given(st.sampled_from(["meta", "typeform", "tally"]), st.binary(max_size=60), secrets, st.data())
def test_a_signature_holds_for_its_body_and_its_secret_only(name, raw, secret, data):
    headers = signed(name, raw, secret)
    prove = SENDERS[name].proof
    assert prove(raw, headers, None, secret)
    other = data.draw(st.binary(max_size=60).filter(lambda found: found != raw))
    assert not prove(other, headers, None, secret)
    assert not prove(raw, headers, None, data.draw(secrets.filter(lambda found: found != secret)))


@settings(max_examples=60)
@given(st.sampled_from(["X-Hub-Signature-256", "Typeform-Signature", "Tally-Signature"]), st.text(max_size=80), secrets)
def test_no_made_up_signature_is_believed(header, given_text, secret):
    assert not any(sender.proof(b"{}", {header: given_text}, {}, secret) for sender in SENDERS.values())


@settings(max_examples=60)
@given(anything, secrets)
@example("secret ", "secret")
@example("secre", "secret")
@example(1, "1")
@example(True, "True")
def test_a_secret_is_only_the_same_as_itself(value, secret):
    expected = isinstance(value, str | int) and not isinstance(value, bool) and str(value) == secret
    assert is_same(value, secret) == expected
    assert is_same(secret, secret)


@settings(max_examples=60)
@given(anything, answer_texts, st.sampled_from(["google_key", "HandshakeKey", "GOOGLE_KEY"]), st.booleans(), st.data())
def test_no_secret_stays_in_what_is_kept(parsed, secret, name, is_ascii, data):
    body = {"around": [{name: f'{secret}\\"{secret}'}], "beside": parsed}
    raw = json.dumps(body, ensure_ascii=is_ascii).encode()
    letter = data.draw(st.sampled_from(["", *name]))  # written so that a plain look does not see it
    raw = raw.replace(
        name.encode(), name.replace(letter, f"\\u{ord(letter):04x}").encode() if letter else name.encode()
    )
    if secret in said(parsed):
        return
    before = json_bodies.strict(raw)
    after = json_bodies.strict(raw_without_secrets(raw, before, is_json=True))
    assert secret not in said(after)
    assert without_secrets(after) == without_secrets(before)  # and nothing else is gone


@settings(max_examples=40)
@given(answer_texts, st.dictionaries(st.text("abc", min_size=1), st.text(max_size=8), max_size=4))
def test_no_secret_stays_in_pairs(secret, others):
    raw = urlencode({**others, "HandshakeKey": secret, "Field1": "Ada"}).encode()
    parsed = parse("application/x-www-form-urlencoded", raw, LIMITS).payload
    kept = parse("application/x-www-form-urlencoded", raw_without_secrets(raw, parsed, is_json=False), LIMITS).payload
    assert kept == {**parsed, "HandshakeKey": "[removed]"}


@settings(max_examples=40)
@given(st.lists(st.integers(1, 2**60), min_size=1, max_size=8, unique=True))
def test_every_ping_of_a_batch_is_one_lead_in_its_order(ids):
    entry = [{"changes": [{"field": "leadgen", "value": {"leadgen_id": number}}]} for number in ids]
    assert [lead.external_id for lead in SENDERS["meta"].leads({**META, "entry": entry})] == [str(n) for n in ids]


@settings(max_examples=30)
@given(st.permutations(range(len(TYPEFORM["form_response"]["answers"]))))
def test_the_order_of_answers_changes_no_answer(order):
    body = payload("typeform")
    body["form_response"]["answers"] = [body["form_response"]["answers"][at] for at in order]
    plain = SENDERS["typeform"].leads(payload("typeform"))[0]
    assert SENDERS["typeform"].leads(body)[0].payload == plain.payload


def test_the_example_signatures_are_made_as_their_vendors_say():
    digest = hmac.new(b"k", b"{}", hashlib.sha256)
    assert signed("meta", b"{}", "k") == {"X-Hub-Signature-256": "sha256=" + digest.hexdigest()}
    assert signed("tally", b"{}", "k") == {"Tally-Signature": base64.b64encode(digest.digest()).decode()}
