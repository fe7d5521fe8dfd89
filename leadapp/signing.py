"""Signatures of webhooks, and the encryption of stored secrets.

Standard Webhooks (https://www.standardwebhooks.com): `webhook-signature: v1,<base64 HMAC-SHA256 of
"id.timestamp.body">`; a secret is `whsec_` and the base64 of 24 to 64 bytes. The older kind is
`X-Webhook-Signature: sha256=<hex HMAC-SHA256 of the raw body>`, keyed with the same bytes. Both are made for what we
send (webhook_headers) and checked on what comes in (is_signed).
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from cryptography.fernet import Fernet, MultiFernet
from standardwebhooks import Webhook, WebhookVerificationError

from leadapp.config import settings

SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix of every secret, not one
STANDARD = ("webhook-id", "webhook-timestamp", "webhook-signature")
OLDER = "X-Webhook-Signature"


def new_secret() -> str:
    """A fresh signing secret of 32 random bytes."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def secret_bytes(secret: str) -> bytes:
    """The key inside `whsec_<base64>`; ValueError when it is not 24 to 64 bytes of base64."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX) + "==")
    except binascii.Error as error:
        raise ValueError("a webhook secret is whsec_ and base64") from error
    if not 24 <= len(key) <= 64:
        raise ValueError("a webhook secret holds 24 to 64 bytes")
    return key


def webhook_headers(secret: str, message_id: str, sent_at: datetime, body: str) -> dict[str, str]:
    """The headers that sign one try of one message; `message_id` stays, `sent_at` is this try's."""
    key = secret_bytes(secret)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": Webhook(key).sign(message_id, sent_at, body),
        OLDER: _older(key, body.encode()),
    }


def is_signed(secret: str, headers: Mapping[str, str], body: bytes) -> bool | None:
    """Whether each signature among the headers is right; None when there is none. `headers` has STANDARD and OLDER.

    Whatever the headers hold, nothing is raised. A signature of STANDARD is good for five minutes around its time.
    """
    found = []
    if STANDARD[-1] in headers:
        found.append(any(_is_standard(key, headers, body) for key in _keys(secret)))
    if OLDER in headers:
        given = headers[OLDER].encode("utf-8", "surrogatepass")
        found.append(any(hmac.compare_digest(given, _older(key, body).encode()) for key in _keys(secret)))
    return all(found) if found else None


def _keys(secret: str) -> list[bytes]:
    """A secret may be any text; what is base64 of the right length may be meant as that or as the text it is."""
    try:
        return [secret.encode(), secret_bytes(secret)]
    except ValueError:
        return [secret.encode()]


def _is_standard(key: bytes, headers: Mapping[str, str], body: bytes) -> bool:
    try:
        Webhook(key).verify(body, {name: headers.get(name, "") for name in STANDARD}, json_parse=False)
    except (WebhookVerificationError, ValueError):  # binascii.Error and the Unicode errors are ValueErrors
        return False
    return True


def _older(key: bytes, body: bytes) -> str:
    return "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()


def seal(text: str) -> str:
    """Encrypt with the first of ENCRYPTION_KEYS."""
    return _fernet().encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """Decrypt with whichever key fits; raises cryptography's InvalidToken when none does."""
    return _fernet().decrypt(sealed.encode()).decode()


def _fernet() -> MultiFernet:
    found = settings()
    return _fernet_of(found.encryption_keys or (found.secret_key.get_secret_value(),))  # production insists on keys


@lru_cache(maxsize=4)
def _fernet_of(texts: tuple[str, ...]) -> MultiFernet:
    """A Fernet key is 32 bytes; the settings hold any long random text, so each is hashed into one."""
    return MultiFernet(
        [Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"leadapp" + text.encode()).digest())) for text in texts]
    )
