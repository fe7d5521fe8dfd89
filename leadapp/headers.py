"""Security headers of every answer, and the nonce that lets our own inline script and style run.

Nothing is relaxed for third parties: no page of Leadapp loads anything from another host.
"""

import secrets
from functools import lru_cache

from flask import Flask, Response, request

from leadapp.config import settings

POLICY: dict[str, tuple[str, ...]] = {
    "default-src": ("'self'",),
    "script-src": ("'self'",),
    "style-src": ("'self'",),
    "img-src": ("'self'", "data:"),
    "object-src": ("'none'",),
    "base-uri": ("'self'",),
    "frame-ancestors": ("'none'",),
    "form-action": ("'self'",),
}
NOBODY = ("'none'",)
WITH_NONCE = ("script-src", "style-src")
PRIVATE = ("/admin", "/account")
ONE_YEAR = 31_536_000

FIXED = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def init_app(app: Flask) -> None:
    app.after_request(protect)
    app.add_template_global(nonce, "csp_nonce")


def nonce() -> str:
    """This request's nonce, for `<script nonce="...">` and `<style nonce="...">`."""
    if "leadapp.csp_nonce" not in request.environ:
        request.environ["leadapp.csp_nonce"] = secrets.token_urlsafe(16)
    made: str = request.environ["leadapp.csp_nonce"]
    return made


def allow(directive: str, source: str) -> None:
    """Let this one answer reach one more source.

    For a page whose form is answered with a redirect to the customer's site: browsers hold `form-action`
    against the redirect too; and for a page that other sites may frame (`frame-ancestors`).
    """
    request.environ.setdefault("leadapp.csp_more", []).append((directive, source))


def policy() -> str:
    """The Content-Security-Policy of this answer; the nonce is in it when the page asked for one."""
    return _policy(request.environ.get("leadapp.csp_nonce", ""), tuple(request.environ.get("leadapp.csp_more", ())))


@lru_cache(maxsize=64)  # answers without a page all have the same
def _policy(made: str, allowed: tuple[tuple[str, str], ...]) -> str:
    parts = []
    for directive, sources in POLICY.items():
        more = tuple(source for named, source in allowed if named == directive)
        own = (f"'nonce-{made}'",) if made and directive in WITH_NONCE else ()
        usual = () if more and sources == NOBODY else sources
        parts.append(" ".join((directive, *usual, *own, *more)))
    return "; ".join(parts)


def protect(response: Response) -> Response:
    """Add the headers; what a view has set itself stays."""
    theirs = {name.lower() for name in response.headers.keys()}  # noqa: SIM118 - these headers iterate over pairs
    ours = {**FIXED, "Content-Security-Policy": policy()}
    if any(directive == "frame-ancestors" for directive, _ in request.environ.get("leadapp.csp_more", ())):
        theirs.add("x-frame-options")  # which knows no list of sites
    response.headers.extend((name, value) for name, value in ours.items() if name.lower() not in theirs)
    if request.path.startswith(PRIVATE) and "/static/" not in request.path:
        response.headers["Cache-Control"] = "no-store"
    if request.is_secure and settings().is_production:
        response.headers.setdefault("Strict-Transport-Security", f"max-age={ONE_YEAR}")
    return response
