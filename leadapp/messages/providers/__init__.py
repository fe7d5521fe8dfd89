"""Who carries a message: smtp, console."""

from collections.abc import Callable

from leadapp.messages.outgoing import Handed, Mail
from leadapp.messages.providers import console, smtp

# Each raises smtplib.SMTPResponseException for a refusal in SMTP's codes, and DeliveryErrors for the rest.
PROVIDERS: dict[str, Callable[[Mail, float], Handed]] = {"smtp": smtp.send, "console": console.send}
