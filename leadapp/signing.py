"""Signatures of webhooks, and the encryption of stored secrets.

Standard Webhooks (https://www.standardwebhooks.com): `webhook-signature: v1,<base64 HMAC-SHA256 of
"id.timestamp.body">`; a secret is `whsec_` and the base64 of 24 to 64 bytes. The older kind is
`X-Webhook-Signature: sha256=<hex HMAC-SHA256 of the raw body>`, keyed with the same bytes.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from datetime import datetime

from cryptography.fernet import Fernet, MultiFernet
from standardwebhooks import Webhook

from leadapp.config import settings

SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix of every secret, not one


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
        "X-Webhook-Signature": "sha256=" + hmac.new(key, body.encode(), hashlib.sha256).hexdigest(),
    }


def seal(text: str) -> str:
    """Encrypt with the first of ENCRYPTION_KEYS."""
    return _fernet().encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """Decrypt with whichever key fits; raises cryptography's InvalidToken when none does."""
    return _fernet().decrypt(sealed.encode()).decode()


def _fernet() -> MultiFernet:
    """A Fernet key is 32 bytes; the settings hold any long random text, so each is hashed into one."""
    found = settings()
    texts = found.encryption_keys or (found.secret_key.get_secret_value(),)  # production insists on keys
    return MultiFernet(
        [Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"leadapp" + text.encode()).digest())) for text in texts]
    )
