"""Whose payload is this: every sender that the gateway knows, in the order in which they are asked."""

from typing import Any

from leadapp.leads.senders.elementor import ELEMENTOR
from leadapp.leads.senders.flat import FLAT
from leadapp.leads.senders.google_ads import GOOGLE_ADS
from leadapp.leads.senders.hubspot import HUBSPOT
from leadapp.leads.senders.meta import META
from leadapp.leads.senders.shape import Headers, Sender
from leadapp.leads.senders.tally import TALLY
from leadapp.leads.senders.typeform import TYPEFORM
from leadapp.leads.senders.whatconverts import WHATCONVERTS
from leadapp.leads.senders.wrapped import WRAPPED
from leadapp.leads.senders.wufoo import WUFOO

__all__ = ["SENDERS", "sender_of"]

# The flat one takes whatever nobody else claims, so it comes last.
SENDERS: dict[str, Sender] = {
    one.name: one for one in (GOOGLE_ADS, META, TYPEFORM, TALLY, HUBSPOT, WHATCONVERTS, WUFOO, ELEMENTOR, WRAPPED, FLAT)
}


def sender_of(parsed: Any, headers: Headers, pinned: str = "") -> Sender | None:
    """Whose this is; None when the form takes one sender only, and this is not its shape."""
    if pinned in SENDERS:
        return SENDERS[pinned] if SENDERS[pinned].recognises(parsed, headers) else None
    return next(one for one in SENDERS.values() if one.recognises(parsed, headers))
