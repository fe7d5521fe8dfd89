"""What a worker holds of a claimed row: plain data, so that sending needs no database."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from leadapp.clock import now
from leadapp.config import Settings
from leadapp.deliveries.models import AttemptOutcome, DeliveryState, Kind, Purpose


@dataclass(frozen=True)
class Claim:
    """One claimed delivery. `fence` says whether it is still ours when we settle; `number` counts attempts from 1."""

    delivery_id: UUID
    lead_id: UUID | None
    destination_id: int
    kind: Kind
    purpose: Purpose
    recipient: str
    payload: str
    secret: str | None
    fence: int
    number: int
    tries: int
    created_at: datetime
    settings: dict[str, Any] = field(default_factory=dict)
    claimed_at: datetime = field(default_factory=now)  # the database's time: a worker's own clock may be wrong
    correlation_id: str = ""  # of the lead, for log lines


class Ended(NamedTuple):
    """An attempt that is written down: how it ended, and the state and age in seconds of its row since."""

    kind: Kind
    outcome: AttemptOutcome
    state: DeliveryState
    seconds: float


# Called after the commit for each attempt that ended; desk.py fills it, in sight.
ON_ENDED: list[Callable[[Ended], None]] = []


@dataclass(frozen=True)
class Receipt:
    """The receiver took it. `answer` is an excerpt for people, at most 4 KiB."""

    status_code: int | None = None
    answer: str = ""


class Channel(Protocol):
    """What a file in deliveries/channels offers."""

    def send(self, claim: Claim, deadline: float) -> Receipt:
        """Send once. `deadline` is a time.monotonic() moment at which the call has ended, if need be by closing
        the socket. Raises the DeliveryErrors of leadapp.errors."""
        ...

    def deadline_seconds(self, settings: Settings) -> float:
        """The longest that one whole send may take, in seconds."""
        ...
