"""Secrets that senders put into the body are blanked before anything is kept."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from leadapp.leads.senders import google_ads, wufoo

REMOVED = "[removed]"
NAMES = (google_ads.KEY, wufoo.KEY)
_FOLDED = frozenset(name.casefold() for name in NAMES)
_NAMED = "|".join(NAMES).encode()
_IN_JSON = re.compile(rb'("(?:' + _NAMED + rb')"\s*:\s*)(?:"[^"\\]*(?:\\.[^"\\]*)*"|[^\s,}\]\[{"]+)', re.IGNORECASE)
_IN_PAIRS = re.compile(rb"(?:(?<=&)|^)((?:" + _NAMED + rb")=)[^&]*", re.IGNORECASE)


def without_secrets(parsed: Any) -> Any:
    """The same body, each secret in it replaced."""
    if isinstance(parsed, dict):
        return {
            name: REMOVED if name.casefold() in _FOLDED else without_secrets(value) for name, value in parsed.items()
        }
    return [without_secrets(one) for one in parsed] if isinstance(parsed, list) else parsed


def raw_without_secrets(raw: bytes, parsed: Any, *, is_json: bool) -> bytes:
    """The bytes as they came but for the secrets; written anew where a secret hides from a plain look."""
    secrets = list(_secrets(parsed))
    if not secrets:
        return raw
    pattern, put = (_IN_JSON, rb'\1"[removed]"') if is_json else (_IN_PAIRS, rb"\1[removed]")
    blanked, count = pattern.subn(put, raw)
    if count == len(secrets) and not any(isinstance(one, dict | list) for one in secrets):
        return blanked
    kept = without_secrets(parsed)
    return json.dumps(kept, ensure_ascii=False).encode() if is_json else urlencode(kept, doseq=True).encode()


def _secrets(parsed: Any) -> Iterator[Any]:
    if isinstance(parsed, dict):
        for name, value in parsed.items():
            if name.casefold() in _FOLDED:
                yield value
            else:
                yield from _secrets(value)
    elif isinstance(parsed, list):
        for one in parsed:
            yield from _secrets(one)
