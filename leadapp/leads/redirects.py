"""Where a visitor goes after a form was sent: `_next`, checked so that it can never lead astray.

What comes back is either the form's own thank-you page or `<origin that the form allows><path>`, put together
anew: the origin is written from the form's own list, never copied from the post, so no trick in an address
(`//host`, backslashes, user names, tabs, look-alike letters) survives.
"""

import re
from collections.abc import Iterable
from urllib.parse import quote, urljoin, urlsplit

import idna

LONGEST = 2_000
DEFAULT_PORTS = {"http": "80", "https": "443"}

_ORIGIN = re.compile(r"(https?)://([^/?#]+)(.*)", re.IGNORECASE | re.DOTALL)
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:@\[\]%\\]+)(?::([0-9]{0,5}))?", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
# Browsers drop tabs and line ends, and read a backslash as a slash.
_DOUBTFUL = re.compile(r"[\x00-\x20\x7f-\xa0\\<>\"^`{|}]")
# Two slashes, an encoded one or a control character mean one thing to a browser and another to some servers.
_DOUBTFUL_IN_PATH = re.compile(r"//|%(?:2f|5c|[01][0-9a-f]|7f)", re.IGNORECASE)


def next_page(
    wanted: str,
    own_page: str,
    *,
    site_url: str = "",
    allowed_origins: Iterable[str] = (),
    posted_from: str = "",
) -> str:
    """The page after success: `wanted` where the form allows it, else `own_page`.

    Allowed are the origins of `site_url` and `allowed_origins`, exactly (scheme, host, port; an empty list
    allows none here). A path without an origin means the site that posted (`posted_from`, its Referer or
    Origin) when that one is allowed, else `site_url`; where neither is known there is no site to be a path
    of, and the visitor gets `own_page`. Anything doubtful gets `own_page` too.
    """
    allowed = origins(site_url, *allowed_origins)
    wanted = wanted.strip(" ")
    if not allowed or not _is_plain(wanted):
        return own_page
    origin, rest = _split(wanted, allowed)
    if not origin and not _is_elsewhere(wanted):
        base = posted_from if origin_of(posted_from) in allowed else site_url
        origin, rest = origin_of(base), _resolve(base, wanted)
    if origin not in allowed or _DOUBTFUL_IN_PATH.search(urlsplit(f"//x{rest}").path):
        return own_page
    return origin + quote(rest, safe="/?#%:@!$&'()*+,;=~-._[]")


def origins(*addresses: str) -> set[str]:
    """The origins of these addresses; what is not an address is left out."""
    return {origin_of(address) for address in addresses} - {""}


def origin_of(address: str) -> str:
    """`https://host[:port]` as browsers write an origin: lower case, no default port; "" when it is none."""
    matched = _ORIGIN.fullmatch(address.strip())
    if not matched:
        return ""
    scheme = matched[1].lower()
    authority = _AUTHORITY.fullmatch(matched[2])
    host = _ascii_host(authority[1]) if authority else ""
    if not authority or not host:
        return ""
    port = (authority[2] or "").lstrip("0")
    return f"{scheme}://{host}" if port in ("", DEFAULT_PORTS[scheme]) else f"{scheme}://{host}:{port}"


def _ascii_host(host: str) -> str:
    """The host in lower case, a name with umlauts as xn--; "" for look-alikes and what is no name."""
    host = host.lower()
    if host.isascii():
        return host if re.fullmatch(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]", host) else ""
    try:
        return idna.encode(host, uts46=False).decode()
    except idna.IDNAError:
        return ""


def _is_plain(wanted: str) -> bool:
    return 0 < len(wanted) <= LONGEST and not _DOUBTFUL.search(wanted) and wanted.isprintable()


def _split(wanted: str, allowed: set[str]) -> tuple[str, str]:
    """(origin, rest) of a whole address; `//host/...` and `host/...` count when that very host is allowed."""
    for prefix in ("", "https:", "https://", "http:", "http://"):
        matched = _ORIGIN.fullmatch(prefix + wanted)
        if matched:
            origin = origin_of(f"{matched[1]}://{matched[2]}")
            if origin in allowed:
                return origin, matched[3]
    return "", ""


def _is_elsewhere(wanted: str) -> bool:
    """Names a scheme or a host, and not one that the form allows."""
    return wanted.startswith("//") or bool(_SCHEME.match(wanted))


def _resolve(base: str, wanted: str) -> str:
    """The path, query and fragment of `wanted`, seen from the page `base`."""
    try:
        found = urlsplit(urljoin(base, wanted))
    except ValueError:
        return "/"
    rest = "/" + found.path.lstrip("/")
    rest += f"?{found.query}" if found.query else ""
    return rest + (f"#{found.fragment}" if found.fragment else "")
