"""Letters as bytes: no header can be forged, whatever is put into which field."""

from email import message_from_bytes, policy
from email.utils import parseaddr

import flask_mail
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadapp.errors import PermanentError
from leadapp.messages.addresses import domain_of, reply_address, wire_address
from leadapp.messages.headers import encoded, mailbox, one_line
from leadapp.messages.letter import Letter
from leadapp.messages.outgoing import Mail
from leadapp.messages.providers.smtp_connection import Connection

EXPECTED = {
    "Content-Type", "Content-Transfer-Encoding", "MIME-Version", "Subject", "From", "To", "Reply-To", "Date", "Message-ID", "Auto-Submitted",
    "X-Leadapp-Delivery",
}  # fmt: skip
EVIL = "x\r\nBcc: evil@example.com\r\n\r\nbody"


def letter(**overrides) -> Letter:
    facts = {
        "delivery_id": "0190",
        "sender": "desk@shop.example",
        "sender_name": "Shop",
        "recipient": "owner@shop.example",
        "reply_to": "ada@example.com",
        "subject": "Hello",
        "text": "text",
        "html": "<p>html</p>",
    }
    return Letter(Mail(**{**facts, **overrides}))


@settings(deadline=None)
@given(st.text(), st.text(), st.text(), st.text())
def test_no_text_whatever_adds_or_breaks_a_header(subject, name, text, html):
    content = letter(subject=subject, sender_name=name, text=text, html=html).as_bytes()
    head = content.split(b"\r\n\r\n")[0]
    assert head.isascii()
    assert not set(head.replace(b"\r\n", b"")) & set(b"\r\n")
    assert max(map(len, content.split(b"\r\n"))) <= 998
    message = message_from_bytes(content)
    assert set(message.keys()) <= EXPECTED
    assert parseaddr(message["From"])[1] == "desk@shop.example"


@settings(deadline=None)
@given(st.text())
def test_a_subject_comes_back_as_the_line_that_it_is(text):
    content = letter(subject=text).as_bytes()
    assert (message_from_bytes(content, policy=policy.default)["Subject"] or "") == one_line(text)


@pytest.mark.parametrize("field", ["headers", "cc", "recipient", "sender", "reply_to", "sender_name", "delivery_id"])
def test_a_line_break_in_any_header_is_cleaned_or_refused(app, field):
    value = {"X-Extra": EVIL} if field == "headers" else (EVIL,) if field == "cc" else EVIL
    try:
        made = letter(**{field: value})
    except PermanentError:
        return
    if made.has_bad_headers():
        return
    assert message_from_bytes(made.as_bytes())["Bcc"] is None


def test_an_extra_header_is_cleaned_and_cannot_replace_ours():
    message = message_from_bytes(letter(headers={"X-Extra": EVIL, "Subject": "forged"}).as_bytes())
    assert message["X-Extra"] == "x Bcc: evil@example.com body"
    assert message.get_all("Subject") == ["Hello"]


@pytest.mark.parametrize("name", ["X\r\nBcc", "X: y", "", "Ünï", "a" * 100])
def test_a_header_name_that_is_none_is_refused(name):
    assert letter(headers={name: "x"}).has_bad_headers()


def test_the_connection_refuses_what_has_bad_headers(app, settings_for):
    connection = Connection(app.extensions["mail"], settings_for(), None)
    connection.session = object()
    with pytest.raises(PermanentError, match="line break"):
        connection.hand_over(letter(headers={"X\nBcc": "x"}))


def test_a_letter_is_flask_mails_message():
    assert isinstance(letter(), flask_mail.Message)
    assert letter(cc=("boss@shop.example",)).send_to == {"owner@shop.example", "boss@shop.example"}


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("Shop", "Shop <a@b.example>"),
        ("", "a@b.example"),
        ("Shop, Inc. (x)", '"Shop, Inc. (x)" <a@b.example>'),
        ('Say "hi" \\', '"Say \\"hi\\" \\\\" <a@b.example>'),
        ("a@bank.example <", '"a bank.example" <a@b.example>'),
        ("Größe", "=?utf-8?b?R3LDtsOfZQ==?= <a@b.example>"),
    ],
)
def test_a_name_is_quoted_as_it_needs(name, header):
    assert mailbox(name, "a@b.example") == header


def test_text_that_looks_encoded_is_encoded_once_more():
    assert "=?utf-8?" in encoded("=?utf-8?q?x?=")
    assert encoded("plain = ?") == "plain = ?"


@pytest.mark.parametrize(
    ("text", "line"),
    [("a\tb\n c", "a b c"), ("\u202egnp.exe", "gnp.exe"), ("x" * 200, "x" * 149 + "…"), ("\ud800a", "a"), ("", "")],
)
def test_one_line_holds_no_control_characters(text, line):
    assert one_line(text) == line


@pytest.mark.parametrize(
    ("address", "reply"),
    [
        ("ada@example.com", "ada@example.com"),
        ("  Ada@Example.COM ", "Ada@example.com"),
        ("ada@shop.test", "ada@shop.test"),
        ("ada@münchen.example", "ada@xn--mnchen-3ya.example"),
        ("jörg@example.com", ""),
        ("ada@localhost", ""),
        ("ada", ""),
        ("ada@", ""),
        ("Ada <ada@example.com>", ""),
        ("ada@example.com\r\nBcc: eve@example.com", ""),
        ("ada@example.com, eve@example.com", ""),
    ],
)
def test_a_reply_goes_only_to_an_address_that_is_one(address, reply):
    assert reply_address(address) == reply


def test_our_own_addresses_may_be_of_a_private_network():
    assert wire_address("root@localhost") == "root@localhost"
    assert wire_address("owner@straße.local") == "owner@xn--strae-oqa.local"
    assert domain_of("leadapp@localhost.localdomain") == "localhost.localdomain"
    assert domain_of("nobody") == ""
