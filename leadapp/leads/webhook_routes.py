"""POST /webhooks/leads/<form key>: where other systems send leads. Read, prove, accept, answer.

Without a key it is the form `gateway`. GET is Meta's handshake. Errors have one JSON shape (leads.webhook_answers).
"""

import json
import logging
import re
from typing import Any, NamedTuple

from flask import Blueprint, Response, g, request
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.http import parse_options_header

from leadapp import signing
from leadapp.accounts.guard import PUBLIC
from leadapp.config import settings
from leadapp.errors import PayloadError
from leadapp.extensions import db
from leadapp.leads import catalog, intake, json_bodies, setup, webhook_answers
from leadapp.leads.bodies import is_cut_off, read_body
from leadapp.leads.charsets import clean
from leadapp.leads.models import Form
from leadapp.leads.parsing import FORM, Parsed, has_text, parse, refuse_excess
from leadapp.leads.reading import Posted
from leadapp.leads.senders import SENDERS, sender_of
from leadapp.leads.senders.blanking import REMOVED, raw_without_secrets, without_secrets
from leadapp.leads.senders.proofs import as_sent, is_same
from leadapp.leads.senders.shape import Incoming, Sender
from leadapp.webextensions import csrf, limiter

logger = logging.getLogger(__name__)

DEFAULT_FORM = setup.GATEWAY
# What is kept of a request's headers; of those that prove something, only that they were there.
KEPT_HEADERS = (
    *("User-Agent", "Referer", "Origin", "Accept-Language", "Content-Length", "Content-Encoding", "X-Request-ID"),
    *("X-Correlation-Id", "Idempotency-Key", "webhook-id", "webhook-timestamp", "X-HubSpot-Request-Timestamp"),
)
SECRET_HEADERS = (
    *("X-Shared-Secret", "Authorization", "X-Hub-Signature", "X-Hub-Signature-256", "Typeform-Signature"),
    *("Tally-Signature", "X-HubSpot-Signature", "X-HubSpot-Signature-v3", signing.OLDER, signing.STANDARD[-1]),
)
CHALLENGE = re.compile(r"[\x21-\x7e]{1,200}")

webhooks = Blueprint("webhooks", __name__)
webhooks.access = PUBLIC  # type: ignore[attr-defined]


class Target(NamedTuple):
    """The form that a post is for, and the secret that its senders have to know; "" when nothing is checked."""

    form: Form
    secret: str


class Body(NamedTuple):
    """A body as it came, unpacked, and what it says."""

    raw: bytes
    says: Any
    is_json: bool


@webhooks.post("/webhooks/leads/", strict_slashes=False, merge_slashes=False)
@webhooks.post("/webhooks/leads/<key>/", strict_slashes=False, merge_slashes=False)
@csrf.exempt  # programs have no session
@limiter.limit(lambda: settings().ratelimit_webhooks)
def receive(key: str = DEFAULT_FORM) -> Response:
    """Save every lead of the body, then say so."""
    try:
        # The whole body first: a slow client must hold neither a transaction nor a connection meanwhile.
        raw = _raw()
        target = _target(key)
        body = _read(raw, target)
        sender = sender_of(body.says, request.headers, target.form.sender)
        _refuse_unless_proven(body, target, sender)
        if sender is None:
            label = SENDERS[target.form.sender].label
            raise PayloadError(422, "WRONG_SENDER", f"This form takes {label} only, and this body is not of its shape.")
        return _accept(target, body, sender)
    except PayloadError as error:
        db.session.rollback()
        return webhook_answers.refusal(error)


@webhooks.get("/webhooks/leads/", strict_slashes=False, merge_slashes=False)
@webhooks.get("/webhooks/leads/<key>/", strict_slashes=False, merge_slashes=False)
@limiter.limit(lambda: settings().ratelimit_webhooks)
def handshake(key: str = DEFAULT_FORM) -> Response:
    """Meta asks, before its first ping, whether we know the token that was typed in there: the form's secret."""
    asked = request.args
    if asked.get("hub.mode") != "subscribe" or request.method != "GET":
        raise MethodNotAllowed(["POST"])
    try:
        secret = _target(key).secret
        if secret and not is_same(asked.get("hub.verify_token"), secret):
            raise _unproven()
        challenge = asked.get("hub.challenge", "")
        if not CHALLENGE.fullmatch(challenge):
            raise PayloadError(400, "BAD_REQUEST", "The challenge is missing or odd.", "hub.challenge")
    except PayloadError as error:
        return webhook_answers.refusal(error)
    return Response(challenge, mimetype="text/plain", headers={"Cache-Control": "no-store"})


def _raw() -> bytes:
    most = settings().max_webhook_bytes
    try:
        raw = read_body(request, most)
    except PayloadError as error:
        if error.status != 413:
            raise
        raise PayloadError(413, "BODY_TOO_BIG", f"The body is larger than {most / 1_000_000:g} MB.") from error
    if is_cut_off(request):
        raise PayloadError(400, "CUT_OFF", "Less arrived than Content-Length announced. Send it again.")
    return raw


def _target(key: str) -> Target:
    known = catalog.form_of(clean(key))
    if known is None:
        words = f"There is no form with the key {clean(key)[:64]!r}. Make it in the admin, under Forms"
        raise PayloadError(404, "FORM_NOT_FOUND", words + (", or run `flask setup`." if key == DEFAULT_FORM else "."))
    form, has_secret = known
    if has_secret and form.secret is None:  # never take that for "nothing is checked"
        logger.error("the form's secret cannot be read: ENCRYPTION_KEYS lacks its key", extra={"form": form.key})
        raise PayloadError(503, "UNAVAILABLE", "The form's secret cannot be read; its owner has to set it again.")
    return Target(form, form.secret or settings().webhook_shared_secret.get_secret_value())


def _read(raw: bytes, target: Target) -> Body:
    """What the body says. Whoever cannot prove itself is not told what is wrong with it."""
    try:
        return _parsed(raw)
    except PayloadError:
        body = Body(raw, None, is_json=False)
        if not any(_is_proven(body, target.secret, sender) for sender in SENDERS.values()):
            raise _unproven() from None
        raise


def _parsed(raw: bytes) -> Body:
    """JSON, or the pairs that some senders use; JSON that came under the type of pairs (curl's default) is JSON."""
    mimetype, options = parse_options_header(request.content_type or "")
    is_json = mimetype in ("", "application/json", "text/json") or mimetype.endswith("+json")
    if is_json or (mimetype == FORM and raw.lstrip()[:1] in (b"{", b"[")):
        return Body(raw, json_bodies.strict(raw, options.get("charset", "")), is_json=True)
    if mimetype == FORM:
        return Body(raw, parse(request.content_type or "", raw, settings()).payload, is_json=False)
    message = "Send application/json, or application/x-www-form-urlencoded."
    raise PayloadError(415, "UNSUPPORTED_TYPE", message, "Content-Type")


def _refuse_unless_proven(body: Body, target: Target, sender: Sender | None) -> None:
    if not _is_proven(body, target.secret, sender):
        raise _unproven()


def _is_proven(body: Body, secret: str, sender: Sender | None) -> bool:
    """By the secret itself, where it came beside the body, else by a signature; else in the sender's own way.

    What came has to be right. `?token=` is for senders that can set no header.
    """
    if not secret:
        return True
    bearer = as_sent(request.headers, "Authorization") or ""
    shown = [as_sent(request.headers, "X-Shared-Secret"), request.args.get("token")]
    if bearer[:7].lower() == "bearer ":
        shown.append(bearer[7:])
    right = [is_same(one, secret) for one in shown if one is not None]
    if right:
        return all(right)
    is_signed = _is_signed(body, secret)
    if is_signed is not None:
        return is_signed
    return sender is not None and sender.proof(body.raw, request.headers, body.says, secret)


def _is_signed(body: Body, secret: str) -> bool | None:
    shown = {name: as_sent(request.headers, name) for name in (*signing.STANDARD, signing.OLDER)}
    return signing.is_signed(secret, {name: text for name, text in shown.items() if text is not None}, body.raw)


def _unproven() -> PayloadError:
    message = "The shared secret is missing or wrong. Send it as X-Shared-Secret, or sign as your system does."
    return PayloadError(401, "UNAUTHORIZED", message)


def _accept(target: Target, body: Body, sender: Sender) -> Response:
    found = sender.leads(without_secrets(body.says))
    if len(found) > sender.most_leads:
        raise PayloadError(413, "TOO_MANY_LEADS", f"A body may hold at most {sender.most_leads} leads.")
    for lead in found:
        _refuse_unreadable(lead)
    raw = raw_without_secrets(body.raw, body.says, is_json=body.is_json)
    posts = [_posted(lead, sender, raw if len(found) == 1 else b"") for lead in found]
    key = clean(request.headers.get("Idempotency-Key", "")) or _message_id(body, target.secret)
    for number, posted in enumerate(posts, start=1):
        posted.idempotency_key = f"{key}#{number}" if key and number > 1 else key
    saved = [intake.accept(target.form, posted, source="webhook") for posted in posts]
    g.lead_id = str(saved[0].lead_id) if saved else ""  # for the log line of this request
    correlation = saved[0].correlation_id if saved else webhook_answers.correlation_id()
    return webhook_answers.accepted([one.lead_id for one in saved], correlation)


def _message_id(body: Body, secret: str) -> str:
    """The id that a Standard Webhooks sender repeats with every try; only under its signature is it one."""
    name, _, signature = signing.STANDARD
    is_standard = bool(secret) and signature in request.headers and _is_signed(body, secret)
    return f"{name} {clean(request.headers.get(name, ''))}" if is_standard else ""


def _refuse_unreadable(lead: Incoming) -> None:
    if not has_text(lead.payload):
        raise PayloadError(422, "EMPTY", "Nothing in this body could be read as a field of a lead.")
    refuse_excess(Parsed(payload=lead.payload), settings())


def _posted(lead: Incoming, sender: Sender, raw: bytes) -> Posted:
    """`raw` is empty for one of several leads in a body: it keeps its own part."""
    return Posted(
        payload=lead.payload,
        raw=raw or json.dumps(lead.payload, ensure_ascii=False).encode(),
        content_type=clean(request.content_type or ""),
        headers=_kept_headers(),
        problems=list(lead.problems),
        page=clean(request.referrer or ""),
        correlation_id=webhook_answers.correlation_id(),
        sender=sender.name,
        external_id=lead.external_id,
        is_test=lead.is_test,
    )


def _kept_headers() -> dict[str, str]:
    kept = {name: clean(request.headers[name])[:1000] for name in KEPT_HEADERS if name in request.headers}
    return {**kept, **{name: REMOVED for name in SECRET_HEADERS if name in request.headers}}
