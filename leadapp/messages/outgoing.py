"""One mail on its way out, and what became of it: the words between a channel and a provider."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from leadapp.messages.addresses import domain_of


@dataclass(frozen=True)
class Mail:
    """One mail to one recipient. `sender` is our own address, never the visitor's."""

    delivery_id: str
    sender: str
    sender_name: str
    recipient: str
    subject: str
    text: str
    html: str = ""
    reply_to: str = ""
    cc: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def message_id(self) -> str:
        """The same on every try, so that a mail that arrives twice is shown once."""
        return f"<{self.delivery_id}@{domain_of(self.sender)}>"


@dataclass(frozen=True)
class Handed:
    """The provider took the mail: its code, if it has codes, and its words."""

    code: int | None
    answer: str
