"""Files that came with a lead: what they are, and their bytes."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from leadapp.clock import DB_NOW, UtcDateTime
from leadapp.columns import new_id
from leadapp.extensions import Model


class Document(Model):
    """One uploaded file. `name` is what the visitor's browser said, made safe for a header and a disk."""

    __tablename__ = "document"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    lead_id: Mapped[UUID] = mapped_column(ForeignKey("lead.id", ondelete="CASCADE"), index=True)
    field: Mapped[str] = mapped_column(String(200), default="")
    name: Mapped[str] = mapped_column(String(255))
    content_type: Mapped[str] = mapped_column(String(255), default="application/octet-stream")
    size: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=DB_NOW)
