"""Who is alive, and which periodic job runs where."""

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from leadapp.clock import DB_NOW, UtcDateTime
from leadapp.extensions import Model


class Heartbeat(Model):
    """The last sign of life of a worker process or of the clock; `name` is `<role>:<host>:<pid>`."""

    __tablename__ = "heartbeat"

    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    role: Mapped[str] = mapped_column(String(20))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, default=DB_NOW)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime, default=DB_NOW, index=True)
    doing: Mapped[str] = mapped_column(String(120), default="")


class PeriodicRun(Model):
    """The lease of one periodic job: two clocks never run the same one at once."""

    __tablename__ = "periodic_run"

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    holder: Mapped[str] = mapped_column(String(120), default="")
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_error: Mapped[str] = mapped_column(Text, default="")
