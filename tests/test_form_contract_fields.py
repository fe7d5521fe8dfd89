"""form-contract.md, "Fields with a meaning": what the owner's mail says, who gets it, and what is never obeyed."""

import json
from email import message_from_bytes
from email.header import decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from leadapp.database import transaction
from leadapp.deliveries.models import Delivery, Destination, DestinationState, HeldReason, Kind, ManagedBy
from leadapp.extensions import db
from leadapp.leads import copies
from leadapp.leads.models import Form, Lead
from leadapp.leads.wishes import read_wishes
from leadapp.messages.letter import Letter
from leadapp.messages.outgoing import Mail
from tests.factories import add_desk, add_destination, add_form, rows_of, the_row

ADA = {"name": "Ada Lovelace", "email": "ada@example.com", "message": "Hello"}


@pytest.fixture
def desk(app) -> Form:
    form, _, _ = add_desk()
    return form


def the_lead() -> Lead:
    return db.session.scalars(select(Lead), execution_options={"populate_existing": True}).one()


@pytest.fixture
def mail_of(desk, client):
    """mail_of(field=value, ...) -> the owner's mail of a post with these fields."""

    def post(**fields) -> dict[str, str]:
        assert client.post("/f/contact", data={**ADA, **fields}).status_code == 303
        return json.loads(the_row(the_lead(), Kind.EMAIL).payload)

    return post


# --- subject


def test_the_post_names_the_subject(mail_of):
    assert mail_of(_subject="A new roof", subject="Not this")["subject"] == "A new roof"
    assert the_lead().fields == {"subject": "Not this"}


def test_a_visible_subject_counts_too_and_stays_an_answer(mail_of):
    mail = mail_of(subject="Roof")
    assert mail["subject"] == "Roof"
    assert "Subject: Roof" in mail["text"]


def test_a_test_says_so_in_any_subject(mail_of):
    assert mail_of(_subject="Roof", _test="1")["subject"] == "[Test] Roof"


def test_placeholders_are_filled_once(app, client):
    add_form(name="Quote %{siteName}", site_url="https://www.shop.example/x")
    add_destination(Kind.EMAIL)
    client.post(
        "/f/contact", data={**ADA, "_subject": "%{formName} on %{siteName}: %{submissionId} %{email} {{ 7*7 }}"}
    )
    lead = the_lead()
    subject = json.loads(the_row(lead, Kind.EMAIL).payload)["subject"]
    assert subject == f"Quote %{{siteName}} on www.shop.example: {lead.id} %{{email}} {{{{ 7*7 }}}}"


def test_an_empty_subject_is_none(mail_of):
    assert mail_of(_subject=" \r\n")["subject"] == "Ada Lovelace via Contact form"


# --- sender, reply, layout


def test_the_post_names_the_sender_and_never_its_address(mail_of):
    mail = mail_of(from_name='Shop "x" <evil@evil.example>\r\nBcc: a@b.example')
    letter = Letter(Mail("1", "desk@shop.example", mail["from_name"], "owner@shop.example", "", "s", "t", ""))
    headers = message_from_bytes(letter.as_bytes())
    assert headers["From"].endswith("<desk@shop.example>")
    assert headers["From"].count("@") == 1
    assert headers["Bcc"] is None


@pytest.mark.parametrize("name", ["_replyto", "_reply_to", "replyto", "_replyTo"])
def test_the_post_names_where_answers_go(mail_of, name):
    assert mail_of(**{name: "other@example.com"})["reply_to"] == "other@example.com"


@pytest.mark.parametrize("bad", ["%email", "no address", "a@b.example\r\nBcc: c@d.example", "a@b.example, c@d.example"])
def test_a_bad_reply_address_leaves_the_leads_own(mail_of, bad):
    assert mail_of(_replyto=bad)["reply_to"] == "ada@example.com"


def test_a_plain_mail_has_no_html(mail_of):
    mail = mail_of(_format="plain")
    assert (mail["html"], "Hello" in mail["text"]) == ("", True)


@pytest.mark.parametrize("language", ["de", "pt-BR", "../../admin", "x" * 500, "{{ config }}"])
def test_any_language_makes_a_mail(mail_of, language):
    assert "Hello" in mail_of(_language=language, _template="table")["html"]


# --- copies


def asked(client, **fields) -> list[str]:
    client.post("/f/contact", data={**ADA, **fields})
    lead = db.session.scalars(select(Lead).order_by(Lead.id.desc()).limit(1)).one()
    return sorted(row.recipient for row in rows_of(lead) if row.kind is Kind.EMAIL)


def allow_copies(form: Form, *addresses: str) -> None:
    with transaction():
        db.session.get_one(Form, form.id).cc_allowed = list(addresses)
    copies.keep_destinations(db.session.get_one(Form, form.id), "owner@shop.example")


@pytest.mark.parametrize("field", ["_cc", "_bcc", "ccemail"])
def test_a_copy_goes_to_a_listed_address_only(desk, client, field):
    allow_copies(desk, "Boss@shop.example", "sales@shop.example")
    wanted = "boss@shop.example, victim@evil.example; <x>"
    assert asked(client, **{field: wanted}) == ["Boss@shop.example", "owner@shop.example"]
    lead = the_lead()
    assert [problem["code"] for problem in lead.problems] == ["CC_NOT_LISTED"]
    assert db.session.scalar(select(Delivery.recipient).where(Delivery.recipient.contains("evil"))) is None


def test_nobody_gets_a_copy_unasked_and_without_a_list_nobody_at_all(desk, client):
    assert asked(client, _cc="boss@shop.example") == ["owner@shop.example"]
    allow_copies(desk, "boss@shop.example")
    assert asked(client, message="unasked") == ["owner@shop.example"]


def test_a_copy_is_a_delivery_of_its_own(desk, client):
    allow_copies(desk, "boss@shop.example")
    asked(client, _cc="boss@shop.example")
    rows = [row for row in rows_of(the_lead()) if row.kind is Kind.EMAIL]
    assert len({row.dedupe_key for row in rows}) == len({row.destination_id for row in rows}) == 2
    assert rows[0].payload == rows[1].payload


def test_an_address_that_is_told_anyway_gets_one_mail(desk, client):
    allow_copies(desk, "owner@shop.example")
    assert asked(client, _cc="owner@shop.example") == ["owner@shop.example"]


def test_a_list_of_another_form_does_not_count(desk, client):
    allow_copies(add_form("other"), "boss@shop.example")
    assert asked(client, _cc="boss@shop.example") == ["owner@shop.example"]


def test_an_address_that_left_the_list_gets_nothing_and_may_come_back(desk, client):
    allow_copies(desk, "boss@shop.example")
    allow_copies(desk)
    row = db.session.scalars(select(Destination).where(Destination.managed_by == ManagedBy.FORM)).one()
    assert row.state is DestinationState.DISABLED
    assert asked(client, _cc="boss@shop.example") == ["owner@shop.example"]
    allow_copies(desk, "boss@shop.example")
    allow_copies(desk, "boss@shop.example")
    assert asked(client, _cc="boss@shop.example", message="2") == ["boss@shop.example", "owner@shop.example"]
    assert db.session.scalars(select(Destination).where(Destination.managed_by == ManagedBy.FORM)).one()


# --- what is never obeyed or shown


def test_machines_that_the_visitor_names_are_kept_and_never_obeyed(desk, client):
    fields = {
        "_webhook": "https://evil.example/hook",
        "webhook": "https://evil.example/hook",
        "_autoresponse": "Dear friend",
        "_captcha": "false",
        "_blacklist": "hello",
        "admin_email": "evil@evil.example",
        "recipient": "evil@evil.example",
    }
    client.post("/f/contact", data={**ADA, **fields})
    lead = the_lead()
    assert {row.recipient for row in rows_of(lead)} == {"owner@shop.example", "https://hook.example/x"}
    assert json.loads(lead.raw_payload)["_webhook"] == "https://evil.example/hook"
    assert not {"_webhook", "webhook", "_autoresponse", "_captcha", "_blacklist"} & set(lead.fields)
    assert not lead.is_spam


TOKENS = ["g-recaptcha-response", "h-captcha-response", "cf-turnstile-response", "_botpoison"]


@pytest.mark.parametrize("token", TOKENS)
def test_a_captcha_token_is_shown_and_sent_nowhere(desk, client, token):
    client.post("/f/contact", data={**ADA, token: "t0ken"})
    lead = the_lead()
    assert token not in lead.fields
    assert not any("t0ken" in row.payload for row in rows_of(lead))


@pytest.mark.parametrize("trap", ["_gotcha", "_honey", "_honeypot", "botcheck", "bot-field", "website"])
def test_every_honeypot_is_spam_and_answered_like_success(app, client, trap):
    add_desk()
    with transaction():
        db.session.scalars(select(Form)).one().honeypot = "website"
    assert client.post("/f/contact", data={**ADA, trap: ""}).status_code == 303
    assert client.post("/f/contact", data={**ADA, trap: "x", "message": "spam"}).status_code == 303
    good, bad = db.session.scalars(select(Lead).order_by(Lead.id))
    assert (good.is_spam, bad.is_spam, trap in bad.spam_reason) == (False, True, True)
    assert {row.held_reason for row in rows_of(bad)} == {HeldReason.SPAM}


def test_a_website_is_a_real_field_unless_the_form_says_otherwise(desk, client):
    client.post("/f/contact", data={**ADA, "website": "ada.example", "url": "x.example"})
    assert (the_lead().is_spam, the_lead().fields) == (False, {"website": "ada.example", "url": "x.example"})


@pytest.mark.parametrize("mark", ["_test", "_sandbox"])
def test_a_test_is_marked(desk, client, mark):
    client.post("/f/contact", data={**ADA, mark: "true"})
    assert the_lead().is_test


def test_attribution_is_kept(desk, client):
    fields = {"utm_source": "s", "utm_campaign": "c", "gclid": "g", "fbclid": "f", "msclkid": "m"}
    fields |= {"referrer": "https://r.example/", "source_url": "https://shop.example/c", "gbraid": "1", "wbraid": "2"}
    client.post("/f/contact", data={**ADA, **fields})
    lead = the_lead()
    assert (lead.utm_source, lead.utm_campaign, lead.gclid, lead.fbclid, lead.msclkid) == ("s", "c", "g", "f", "m")
    assert (lead.referrer, lead.page_url, lead.fields) == ("https://r.example/", "https://shop.example/c", {})


# --- properties

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda one: st.lists(one) | st.dictionaries(st.text(), one)
)
wished = st.sampled_from(
    ["_subject", "subject", "from_name", "_replyto", "_cc", "ccemail", "_format", "_language", "x"]
)
nasty = st.text(st.sampled_from("a@.\r\n\t\x00\x0b\x85\u2028\u202e:,;<>\"'=?%{}formNaé漢 \ud800"), max_size=300)


@given(st.dictionaries(wished, anything | nasty))
def test_no_wish_breaks_a_header(payload):
    wishes = read_wishes(payload)
    mail = Mail("1", "desk@shop.example", wishes.from_name, "o@shop.example", wishes.reply_to, wishes.subject, "t", "")
    letter = Letter(mail)
    assert not letter.has_bad_headers()
    head = letter.as_bytes().partition(b"\r\n\r\n")[0]
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    known = b"Content-Type MIME-Version Content-Transfer-Encoding Subject From To Reply-To Date Message-ID"
    assert set(names) <= {*known.split(), b"Auto-Submitted", b"X-Leadapp-Delivery"}
    assert len(names) == len(set(names))
    assert "\n" not in str(make_header(decode_header(message_from_bytes(letter.as_bytes())["Subject"] or "")))


@given(st.dictionaries(wished, anything | nasty))
def test_only_what_looks_like_an_address_is_asked_for(payload):
    for address in read_wishes(payload).copies:
        assert "@" in address
        assert not set(address) & set(' \r\n\t,;<>"')
