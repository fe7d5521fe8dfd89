"""Flask-Mail's Message with its gaps closed: no line break in any header, no line that SMTP cannot carry."""

from datetime import UTC, datetime
from email.charset import QP, Charset
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import EmailPolicy
from email.utils import format_datetime

import flask_mail

from leadapp import clock
from leadapp.messages.addresses import wire_address
from leadapp.messages.headers import HEADER_NAME, UNSAFE, encoded, mailbox
from leadapp.messages.outgoing import Mail

QUOTED_PRINTABLE = Charset("utf-8")
QUOTED_PRINTABLE.body_encoding = QP  # lines of any length and any letter, over any server
HEADER_LIMIT = 500


class Letter(flask_mail.Message):
    """A Mail as Flask-Mail's Connection takes it; PermanentError when one of its addresses is none."""

    def __init__(self, mail: Mail) -> None:
        # Not super().__init__: it makes a Message-ID with this machine's name, for which it may wait on DNS.
        self.mail = mail
        self.from_address = wire_address(mail.sender)
        self.to_addresses = [wire_address(address) for address in (mail.recipient, *mail.cc)]
        self.subject, self.body = mail.subject, mail.text
        self.sender = (mail.sender_name, self.from_address)
        self.recipients = [self.to_addresses[0]]
        self.cc = [*self.to_addresses[1:]]
        self.reply_to, self.msgId, self.date = mail.reply_to, mail.message_id, clock.now().timestamp()
        self.extra_headers, self.alts = dict(mail.headers), {"html": mail.html}
        self.bcc, self.attachments, self.mail_options, self.rcpt_options = [], [], [], []
        self.charset = "utf-8"

    @property
    def needs_utf8(self) -> bool:
        """Whether only a server with SMTPUTF8 can carry it (RFC 6531)."""
        return not all(address.isascii() for address in self._addresses())

    def has_bad_headers(self) -> bool:
        """An address or a header's name with a control character in it; other values are cleaned instead."""
        is_broken = any(UNSAFE.search(address) for address in (*self._addresses(), self.msgId))
        return is_broken or not all(HEADER_NAME.fullmatch(name) for name in self.mail.headers)

    def _addresses(self) -> list[str]:
        return [self.from_address, *self.to_addresses, self.mail.reply_to]

    def _message(self) -> MIMEBase:
        message: MIMEBase = _part(self.mail.text, "plain")
        if self.mail.html:
            message = MIMEMultipart("alternative", _subparts=[message, _part(self.mail.html, "html")])
        for name, value in self._headers().items():
            message[name] = value
        # Our headers are encoded already: written as they are, never folded again.
        message.policy = EmailPolicy(linesep="\r\n", refold_source="none", utf8=self.needs_utf8)
        return message

    def _headers(self) -> dict[str, str]:
        ours = {
            "Subject": encoded(self.mail.subject),
            "From": mailbox(self.mail.sender_name, self.from_address),
            "To": self.to_addresses[0],
            "Cc": ", ".join(self.to_addresses[1:]),
            "Reply-To": self.mail.reply_to,
            "Date": format_datetime(datetime.fromtimestamp(self.date or 0, UTC)),
            "Message-ID": self.msgId,
            "Auto-Submitted": "auto-generated",
            "X-Leadapp-Delivery": self.mail.delivery_id,
        }
        theirs = {name: encoded(value, HEADER_LIMIT) for name, value in self.mail.headers.items()}
        return {name: value for name, value in {**theirs, **ours}.items() if value}


def _part(text: str, kind: str) -> MIMEText:
    clean = text.encode("utf-8", "replace").decode()
    return MIMEText(clean, kind, QUOTED_PRINTABLE)  # type: ignore[arg-type]
