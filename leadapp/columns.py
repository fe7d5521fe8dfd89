"""Column types and ids that every domain's models share."""

from enum import StrEnum
from typing import Any
from uuid import UUID

from cryptography.fernet import InvalidToken
from sqlalchemy import JSON, BigInteger, Dialect, Integer, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator
from uuid_utils.compat import uuid7

from leadapp.signing import seal, unseal

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
# SQLite only counts up by itself on INTEGER.
BigId = BigInteger().with_variant(Integer(), "sqlite")


def new_id() -> UUID:
    """A UUID version 7 (RFC 9562): sorts by the time it was made."""
    made: UUID = uuid7()
    return made


class Enumerated(TypeDecorator[Any]):
    """A StrEnum kept as its word: no native enum, so that adding a word needs no migration."""

    impl = String
    cache_ok = True

    def __init__(self, kind: type[StrEnum]) -> None:
        super().__init__(40)
        self.kind = kind

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else str(self.kind(value))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else self.kind(value)


class SealedText(TypeDecorator[str]):
    """Text that is encrypted before it reaches the database (ENCRYPTION_KEYS)."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else seal(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """None when no key fits any more: the destination then says so instead of breaking every page."""
        try:
            return None if value is None else unseal(value)
        except InvalidToken:
            return None
