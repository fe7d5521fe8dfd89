"""People who log in, and what they may do."""

from datetime import datetime
from enum import StrEnum

from flask_security import RoleMixin, UserMixin
from sqlalchemy import Column, ForeignKey, String, Table, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from leadapp.clock import DB_NOW, UtcDateTime
from leadapp.extensions import Base, Model


class RoleName(StrEnum):
    """owner: everything. manager: leads, forms, destinations. viewer: reads leads. ops: reads, and the queues."""

    OWNER = "owner"
    MANAGER = "manager"
    VIEWER = "viewer"
    OPS = "ops"


roles_users = Table(
    "roles_users",
    Base.metadata,
    Column("user_id", ForeignKey("user.id", ondelete="CASCADE"), primary_key=True),
    Column("role_id", ForeignKey("role.id", ondelete="CASCADE"), primary_key=True),
)


class Role(Model, RoleMixin):
    """One of RoleName."""

    __tablename__ = "role"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20), unique=True)
    description: Mapped[str] = mapped_column(String(255), default="")


class User(Model, UserMixin):
    """A person with an account; the columns are those that Flask-Security asks for."""

    __tablename__ = "user"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(255), unique=True)
    password: Mapped[str | None] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(default=True)
    fs_uniquifier: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=DB_NOW)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_login_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # type: ignore[assignment]
    current_login_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # type: ignore[assignment]
    last_login_ip: Mapped[str | None] = mapped_column(String(64))
    current_login_ip: Mapped[str | None] = mapped_column(String(64))
    login_count: Mapped[int | None]  # type: ignore[assignment]

    roles: Mapped[list[Role]] = relationship(secondary=roles_users, lazy="selectin")  # type: ignore[assignment]

    def __str__(self) -> str:
        return self.email
