"""E-mail: the frozen mail of a row, handed to the provider that the settings name.

A second run sends the same mail under the same Message-ID; most mail programs show such a mail once.
"""

import json
import smtplib
import time
from email.utils import parseaddr
from typing import Any

from leadapp.config import Settings, settings
from leadapp.deliveries.answers import smtp_error
from leadapp.deliveries.claims import Claim, Receipt
from leadapp.errors import NotSentError, PermanentError
from leadapp.messages.addresses import domain_of, reply_address
from leadapp.messages.outgoing import Handed, Mail
from leadapp.messages.providers import PROVIDERS

ANSWER_LIMIT = 4 * 1024


def deadline_seconds(settings: Settings) -> float:
    """The whole send, connecting included, in seconds."""
    return settings.mail_timeout


def send(claim: Claim, deadline: float) -> Receipt:
    """Hand the row's mail over once, over by `deadline` (time.monotonic())."""
    if time.monotonic() >= deadline:
        raise NotSentError("no time left to send it")
    provider = PROVIDERS.get(settings().mail_provider)
    if provider is None:
        raise PermanentError("mail is not set up")
    mail = _mail(claim, settings())
    try:
        handed: Handed = provider(mail, deadline)
    except smtplib.SMTPResponseException as error:
        is_login = isinstance(error, smtplib.SMTPAuthenticationError)
        meaning = smtp_error(error.smtp_code, _text(error.smtp_error), is_login)
        raise (meaning or PermanentError("The mail server gave an answer that makes no sense")) from error
    return Receipt(handed.code, handed.answer[:ANSWER_LIMIT])


def _mail(claim: Claim, found: Settings) -> Mail:
    """The row as a mail: from our own address, with the lead as Reply-To, to one recipient."""
    name, sender = parseaddr(found.sender_address)
    if not domain_of(sender):
        raise PermanentError("mail is not set up: DEFAULT_FROM_EMAIL must be an address of your own domain")
    payload = _payload(claim)
    return Mail(
        delivery_id=str(claim.delivery_id),
        sender=sender,
        sender_name=str(payload.get("from_name") or name or found.mail_from_name),
        recipient=str(claim.settings.get("to") or claim.recipient),
        reply_to=reply_address(str(payload.get("reply_to") or "")) or reply_address(found.mail_reply_to),
        subject=str(payload.get("subject") or ""),
        text=str(payload.get("text") or ""),
        html=str(payload.get("html") or ""),
    )


def _payload(claim: Claim) -> dict[str, Any]:
    try:
        payload = json.loads(claim.payload)
    except ValueError as error:
        raise PermanentError("the stored mail cannot be read") from error
    if not isinstance(payload, dict):
        raise PermanentError("the stored mail cannot be read")
    return payload


def _text(answer: Any) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
    return text.replace("\0", "")[:ANSWER_LIMIT]
