"""The e-mail channel against a real SMTP server (aiosmtpd): what arrives, and what each refusal means."""

import logging
from email import message_from_bytes
from email.header import decode_header, make_header
from email.utils import parseaddr

import pytest

from leadapp.config import settings
from leadapp.deliveries.channels import email
from leadapp.errors import DestinationError, NotSentError, PermanentError, TemporaryError
from tests.channels_fixtures import mail_claim, soon
from tests.sinks import SmtpSink

PLAIN = {"mail_use_tls": False, "mail_starttls_required": False}
DESK = "desk@shop.example"


@pytest.fixture
def sink():
    with SmtpSink() as sink:
        yield sink


@pytest.fixture
def plain(app_with, sink):
    """An app that sends to the sink without encryption."""
    return app_with(mail_server="127.0.0.1", mail_port=sink.port, mail_from_name="Shop", **PLAIN)


def test_a_mail_arrives_from_our_address_with_the_lead_as_reply_to(plain, sink):
    claim = mail_claim()
    receipt = email.send(claim, soon())
    mail = sink.mails[0]
    assert (mail.sender, mail.recipients) == (DESK, ["owner@shop.example"])
    assert mail.message["From"] == f"Shop <{DESK}>"
    assert mail.message["To"] == "owner@shop.example"
    assert mail.message["Reply-To"] == "ada@example.com"
    assert mail.message["Subject"] == "Ada Lovelace via Contact form"
    assert mail.message["Message-ID"] == f"<{claim.delivery_id}@shop.example>"
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert mail.message["X-Leadapp-Delivery"] == str(claim.delivery_id)
    assert mail.message["Date"].datetime.tzinfo is not None
    assert mail.text() == "New enquiry from Ada Lovelace\n"
    assert mail.text("html").strip() == "<p>New enquiry from Ada Lovelace</p>"
    assert (receipt.status_code, receipt.answer) == (250, "250 2.0.0 OK queued as 1")


def test_a_second_try_has_the_same_message_id(plain, sink):
    claim = mail_claim()
    for _ in range(2):
        email.send(claim, soon())
    assert len({mail.message["Message-ID"] for mail in sink.mails}) == 1


def test_names_in_every_script_arrive_as_they_were_written(plain, sink):
    name = 'Jürgen Łukasz Ωμέγα 山田太郎 👩‍💻, "the" <Ünïcode> (Größe)'
    email.send(mail_claim(subject=f"{name} via Kontakt", from_name=name, text=name, html=f"<p>{name}</p>"), soon())
    message = sink.mails[0].message
    assert message["Subject"] == f"{name} via Kontakt"
    shown, address = parseaddr(message_from_bytes(sink.mails[0].content)["From"])
    assert address == DESK
    # The standard library's newer parser leaves spaces between encoded words in names.
    assert str(make_header(decode_header(shown))) == name.replace("<", "").replace(">", "")
    assert sink.mails[0].text() == name
    assert not message.defects
    assert sink.mails[0].content.isascii()


@pytest.mark.parametrize(
    "evil",
    [
        "a\r\nBcc: evil@example.com",
        "a\nBcc: evil@example.com",
        "a\r\r\n\r\nbody",
        "a\x00\x0b\x0c\x1c\x85\u2028Bcc: evil@example.com",
    ],
)
@pytest.mark.parametrize("field", ["subject", "from_name", "reply_to", "text", "html"])
def test_no_field_of_a_mail_can_add_a_header(plain, sink, evil, field):
    email.send(mail_claim(**{field: evil}), soon())
    mail = sink.mails[0]
    assert mail.recipients == ["owner@shop.example"]
    assert mail.message["Bcc"] is None
    assert len(mail.message.keys()) <= 11
    assert mail.text() is not None


@pytest.mark.parametrize(
    "word", ["=?utf-8?q?a=0D=0ABcc:_evil=40example.com?=", "=?utf-8?b?QQ0KQmNjOiBlQGUuZXhhbXBsZQ==?=" * 5]
)
def test_an_encoded_word_of_a_visitor_is_shown_as_it_was_typed(plain, sink, word):
    email.send(mail_claim(subject=word, from_name=word), soon())
    message = sink.mails[0].message
    assert message["Bcc"] is None
    assert message["Subject"][:60] == word[:60]


def test_a_sender_name_with_an_address_in_it_does_not_pass_for_one(plain, sink):
    email.send(mail_claim(from_name='"Bank" <service@bank.example>'), soon())
    (address,) = sink.mails[0].message["From"].addresses
    assert address.addr_spec == DESK
    assert "@" not in address.display_name


def test_a_message_of_100_kb_on_one_line_arrives_whole(plain, sink):
    text = "Straße 山 " * 14_000 + "\n.\n..two dots\n. end\n"
    email.send(mail_claim(text=text, html=f"<p>{text}</p>"), soon())
    assert sink.mails[0].text() == text
    assert max(map(len, sink.mails[0].content.split(b"\r\n"))) <= 998
    assert b"\n" not in sink.mails[0].content.replace(b"\r\n", b"")


def test_a_long_subject_is_cut(plain, sink):
    email.send(mail_claim(subject="ü" * 5000), soon())
    assert sink.mails[0].message["Subject"] == "ü" * 149 + "…"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "not an address",
        "a@b@c.example",
        "ada@example.com, eve@example.com",
        "Ada <ada@example.com>",
        "jörg@example.com",
        "ada@localhost",
    ],
)
def test_an_unusable_reply_to_is_left_out(plain, sink, address):
    email.send(mail_claim(reply_to=address), soon())
    assert sink.mails[0].message["Reply-To"] is None


@pytest.mark.parametrize("address", ['"ada b"@example.com', '"a,b"@example.com', '"a b<eve@evil.example>"@example.com'])
def test_an_answer_to_a_quoted_address_goes_to_it_alone(plain, sink, address):
    email.send(mail_claim(reply_to=address), soon())
    (found,) = sink.mails[0].message["Reply-To"].addresses
    assert found.addr_spec == address


def test_mail_reply_to_stands_in_for_a_lead_without_an_address(app_with, sink):
    app_with(mail_server="127.0.0.1", mail_port=sink.port, mail_reply_to="info@shop.example", **PLAIN)
    email.send(mail_claim(reply_to=""), soon())
    assert sink.mails[0].message["Reply-To"] == "info@shop.example"


def test_international_domains_go_out_in_ascii(plain, sink):
    email.send(mail_claim("owner@bücher.example", reply_to="ada@münchen.example"), soon())
    assert sink.mails[0].recipients == ["owner@xn--bcher-kva.example"]
    assert sink.mails[0].message["Reply-To"] == "ada@xn--mnchen-3ya.example"


def test_letters_before_the_at_sign_go_out_where_the_server_can(plain, sink):
    email.send(mail_claim("jörg@shop.example"), soon())
    assert sink.mails[0].recipients == ["jörg@shop.example"]
    assert "To: jörg@shop.example\r\n".encode() in sink.mails[0].content


def test_letters_before_the_at_sign_are_permanent_where_the_server_cannot(app_with):
    with SmtpSink(smtputf8=False) as sink:
        app_with(mail_server="127.0.0.1", mail_port=sink.port, **PLAIN)
        with pytest.raises(PermanentError, match="special letters before the @"):
            email.send(mail_claim("jörg@shop.example"), soon())
        email.send(mail_claim(), soon())
        assert sink.connections == 1


@pytest.mark.parametrize(
    "recipient",
    [
        "",
        "nobody",
        "a b@shop.example",
        "a@b\r\nRCPT TO:<evil@example.com>",
        "<a@shop.example>",
        "a@shop.example,b@shop.example",
    ],
)
def test_what_is_not_an_address_gets_no_mail(plain, sink, recipient):
    with pytest.raises(PermanentError, match="not an e-mail address"):
        email.send(mail_claim(recipient), soon())
    assert sink.mails == []


# What the server may refuse.


@pytest.mark.parametrize("step", ["mail", "rcpt", "data"])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("450 4.2.0 greylisted", TemporaryError),
        ("550 5.7.1 no", PermanentError),
        ("530 5.7.0 log in", DestinationError),
    ],
)
def test_a_refusal_at_any_step_is_judged_by_its_code(plain, sink, step, answer, kind):
    setattr(sink, step, answer)
    with pytest.raises(kind) as failed:
        email.send(mail_claim(), soon())
    assert failed.value.status_code == int(answer[:3])
    assert sink.mails == []
    setattr(sink, step, "")
    assert email.send(mail_claim(), soon()).status_code == 250
    assert sink.connections == 1  # the refusal cost no connection


def test_an_unknown_mailbox_is_said_to_be_unknown(plain, sink):
    sink.rcpt = "550 5.1.1 <owner@shop.example>: no such user"
    with pytest.raises(PermanentError, match=r"There is no mailbox at this address \(550 5\.1\.1\)"):
        email.send(mail_claim(), soon())


# Set up or not.


def test_mail_that_is_not_set_up_is_permanent_and_says_so(app_with):
    app_with(mail_backend="none")
    with pytest.raises(PermanentError, match=r"^mail is not set up$"):
        email.send(mail_claim(), soon())


@pytest.mark.parametrize("sender", ["", "nobody", "desk@"])
def test_smtp_without_a_sender_names_the_setting(app_with, sink, sender):
    app_with(mail_server="127.0.0.1", mail_port=sink.port, default_from_email=sender, **PLAIN)
    with pytest.raises(PermanentError, match="mail is not set up: DEFAULT_FROM_EMAIL"):
        email.send(mail_claim(), soon())


def test_smtp_without_a_server_names_the_setting(app_with):
    app_with(mail_backend="smtp")
    with pytest.raises(PermanentError, match="mail is not set up: MAIL_SERVER"):
        email.send(mail_claim(), soon())


def test_a_sender_with_a_name_in_front_is_understood(app_with, sink):
    app_with(mail_server="127.0.0.1", mail_port=sink.port, default_from_email=f"The Shop <{DESK}>", **PLAIN)
    email.send(mail_claim(), soon())
    assert sink.mails[0].message["From"] == f"The Shop <{DESK}>"
    assert sink.mails[0].sender == DESK


def test_console_mail_is_shown_in_the_admin_and_its_log_line_says_nothing_of_people(app_with, caplog):
    app_with(mail_backend="console")
    claim = mail_claim()
    with caplog.at_level(logging.INFO):
        receipt = email.send(claim, soon())
    assert (receipt.status_code, receipt.answer) == (None, "shown in the admin (development)")
    assert str(claim.delivery_id) in caplog.text
    assert "Ada" not in caplog.text
    assert "shop.example" not in caplog.text


@pytest.mark.parametrize("payload", ["", "not json", "[]", "null"])
def test_a_payload_that_cannot_be_read_is_permanent(plain, payload):
    claim = mail_claim()
    with pytest.raises(PermanentError, match="the stored mail cannot be read"):
        email.send(type(claim)(**{**claim.__dict__, "payload": payload}), soon())


def test_a_payload_without_html_is_a_plain_mail(plain, sink):
    email.send(mail_claim(html=""), soon())
    assert sink.mails[0].message.get_content_type() == "text/plain"


def test_nothing_is_begun_after_the_deadline(plain, sink):
    with pytest.raises(NotSentError):
        email.send(mail_claim(), soon(-1))
    assert sink.connections == 0


def test_the_longest_send_is_a_setting(app_with):
    app_with(mail_timeout=12)
    assert email.deadline_seconds(settings()) == 12
