"""Every exception of Leadapp on one screen.

LeadappError
├── ConfigurationError          the app refuses to start; the message names the setting
├── PayloadError                a request that cannot be a lead (status, code, field, message)
├── RulesError                  rules, a mapping or a table of answers that cannot be used (reason, line)
├── TransitionError             a state change that states.md does not know
├── EgressError                 our HTTP client refused or gave up (never a receiver's answer)
│   ├── BlockedAddressError     the address is private or otherwise not to be reached
│   ├── ResponseTooLargeError   kept for callers that need a whole body
│   └── ConnectionFailedError   no connection, DNS, TLS, time-out; `sent` says whether the body had gone out
├── DeliveryError               what a channel's send raises; the outbox turns it into a state
│   ├── TemporaryError          try again (retry_after holds the whole destination)
│   ├── PermanentError          this row will never be taken
│   ├── DestinationError        the destination is to be paused or disabled; the row keeps its try
│   ├── OutcomeUnknownError     the answer was lost after the body had gone out (mail)
│   └── NotSentError            nothing was begun (no room in the lease, shutting down): give the row back
└── DeliveryFailed              raised by a job for RQ's failed list; its name is fixed by states.md
"""

from datetime import timedelta


class LeadappError(Exception):
    """Base of every error that Leadapp raises on purpose."""


class ConfigurationError(LeadappError):
    """The app refuses to start with these settings."""


class PayloadError(LeadappError):
    """A request that cannot be accepted as a lead.

    `status` is the HTTP status, `code` the machine's word, `field` the field at fault or ""; `position` is where a
    body of JSON breaks (line, column, offset).
    """

    def __init__(
        self, status: int, code: str, message: str, field: str = "", *, position: dict[str, int] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.position = position


class RulesError(LeadappError):
    """Rules, a mapping or a table of answers that cannot be used.

    `reason` says what is wrong and what to do; `line` is the line of the JSON text, or None when there is no one line.
    """

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(f"Line {line}: {reason}" if line else reason)
        self.reason = reason
        self.line = line


class TransitionError(LeadappError):
    """A state change that the TRANSITIONS table does not allow."""


class EgressError(LeadappError):
    """Our own HTTP client refused a call or gave up on it."""


class BlockedAddressError(EgressError):
    """The host resolves to an address that outgoing calls may not reach."""


class ResponseTooLargeError(EgressError):
    """The answer is larger than the caller can use."""


class ConnectionFailedError(EgressError):
    """No connection, DNS, TLS or a time-out. `sent` is true when the body may have reached the receiver."""

    def __init__(self, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


class DeliveryError(LeadappError):
    """Base of what `channels.*.send` raises.

    `status_code` is the HTTP or SMTP code, if there was one; `answer` an excerpt of what the receiver said.
    The message is shown to people: no secrets, no stack traces.
    """

    def __init__(self, message: str, *, status_code: int | None = None, answer: str = "") -> None:
        super().__init__(message)
        self.status_code = status_code
        self.answer = answer


class TemporaryError(DeliveryError):
    """Worth another try. `retry_after` (at most 24 h) holds every row of the destination."""

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        answer: str = "",
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message, status_code=status_code, answer=answer)
        self.retry_after = retry_after


class PermanentError(DeliveryError):
    """The receiver will never take this row."""


class DestinationError(DeliveryError):
    """The destination itself is at fault: `disable` (410) or else pause (401, 403, 530, 535)."""

    def __init__(self, message: str, *, disable: bool, status_code: int | None = None, answer: str = "") -> None:
        super().__init__(message, status_code=status_code, answer=answer)
        self.disable = disable


class OutcomeUnknownError(DeliveryError):
    """The body had gone out when the connection was lost, and a repeat could reach a person twice."""


class NotSentError(DeliveryError):
    """Sending was not begun: the row goes back as it was."""


class DeliveryFailed(LeadappError):  # noqa: N818 - the name that rq-dashboard shows, fixed by states.md
    """Rows of this job became permanently_failed; the message holds ids and codes only."""
