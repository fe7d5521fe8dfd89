"""`_next` never leads to an origin that the form does not allow, however the address is written."""

import re
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leadapp.leads.redirects import next_page, origin_of

OWN = "https://leads.example/f/contact/thanks"
SITE = "https://shop.example"
OTHER = "http://localhost:3000"
PAGE = f"{SITE}/contact/index.html"


def go(wanted: str, **changes: object) -> str:
    return next_page(wanted, OWN, **{"site_url": SITE, "allowed_origins": [OTHER], **changes})


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("https://shop.example/thanks", f"{SITE}/thanks"),
        ("https://shop.example", SITE),
        ("https://shop.example?sent=1#top", f"{SITE}?sent=1#top"),
        ("HTTPS://Shop.Example/Thanks", f"{SITE}/Thanks"),
        ("https://shop.example:443/thanks", f"{SITE}/thanks"),
        ("http://localhost:3000/ok", f"{OTHER}/ok"),
        ("  /thanks ", f"{SITE}/thanks"),
        ("/thanks?to=https%3A%2F%2Fevil.example", f"{SITE}/thanks?to=https%3A%2F%2Fevil.example"),
        ("/danke-schön", f"{SITE}/danke-sch%C3%B6n"),
        ("thanks.html", f"{SITE}/thanks.html"),
        ("../a/./b", f"{SITE}/a/b"),
        ("?sent=1", f"{SITE}/?sent=1"),
        ("//shop.example/thanks", f"{SITE}/thanks"),
        ("shop.example/thanks", f"{SITE}/thanks"),
        ("https://shop。example/thanks", f"{SITE}/thanks"),  # what browsers make of that dot
        ("localhost:3000/thanks", f"{OTHER}/thanks"),
    ],
)
def test_a_page_that_the_form_allows_is_taken(wanted: str, expected: str) -> None:
    assert go(wanted) == expected


DOUBTFUL = [
    "",
    " ",
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "////evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "https:\\\\evil.example",
    "https:/evil.example",
    "https:evil.example",
    "https:///evil.example",
    "https://shop.example@evil.example/",
    "https://shop.example:pass@evil.example/",
    "https://evil.example#@shop.example/",
    "https://shop.example\\@evil.example/",
    "https://shop.example%2f@evil.example/",
    "https://shop.example.evil.example/",
    "https://evilshop.example/",
    "https://shop.example./",
    "https://shop.example:8443/",
    "http://shop.example/",
    "ftp://shop.example/",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "\x01javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "mailto:a@b.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "ht\ntps://evil.example",
    "/thanks\r\nSet-Cookie: a=b",
    "/thanks\x00",
    "/%2fevil.example",
    "https://shop.example//evil.example",
    "https://shop.example/..//evil.example",
    "/%5cevil.example",
    "/thanks%0d%0aSet-Cookie:a",
    "/ok/%2F%2Fevil.example",
    "https://shop.example／@evil.example",
    "https://evil.example／.shop.example/",
    "https://ｓhop.example/",
    "https://shоp.example/",
    "/\u202ethanks",
    "/\u2028thanks",
    "/\xa0/evil.example",
    "https://[::1]/",
    "https://shop.example:99999999/",
    "https://",
    "/thanks" + "a" * 2_000,
]


@pytest.mark.parametrize("wanted", DOUBTFUL)
def test_anything_doubtful_gets_the_own_page(wanted: str) -> None:
    assert go(wanted) == OWN


@pytest.mark.parametrize("wanted", ["/thanks", "thanks", "https://shop.example/thanks", "//shop.example"])
def test_a_form_without_sites_always_shows_its_own_page(wanted: str) -> None:
    assert go(wanted, site_url="", allowed_origins=[], posted_from=PAGE) == OWN


def test_a_path_belongs_to_the_site_that_posted() -> None:
    assert go("/ok", posted_from=f"{OTHER}/contact") == f"{OTHER}/ok"
    assert go("ok.html", posted_from=PAGE) == f"{SITE}/contact/ok.html"


def test_a_path_from_a_stranger_belongs_to_the_forms_site() -> None:
    assert go("/ok", posted_from="https://evil.example/") == f"{SITE}/ok"
    assert go("/ok", posted_from="https://evil.example/", site_url="") == OWN
    assert go("/ok", posted_from="null") == f"{SITE}/ok"


def test_a_site_with_umlauts_is_known_under_both_spellings() -> None:
    assert (
        go("https://müller.example/ok", site_url="https://xn--mller-kva.example") == "https://xn--mller-kva.example/ok"
    )
    assert (
        go("https://xn--mller-kva.example/ok", site_url="https://müller.example") == "https://xn--mller-kva.example/ok"
    )


@pytest.mark.parametrize(
    "entry", ["*", "shop.example", "null", "javascript:alert(1)", "https://", "https://a@b.example"]
)
def test_an_entry_that_is_no_origin_allows_nothing(entry: str) -> None:
    assert origin_of(entry) == ""


def browser_origin(address: str) -> str:
    """The origin that a browser would go to from our own page: the WHATWG rules, taken at their loosest."""
    address = re.sub(r"[\t\n\r]", "", address.strip("".join(map(chr, range(33))))).replace("\\", "/")
    scheme, colon, rest = address.partition(":")
    if not (colon and re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme, re.IGNORECASE)):
        if not address.startswith("//"):
            return origin_of(OWN)
        scheme, rest = "https", address
    if scheme.lower() not in ("http", "https"):
        return f"{scheme.lower()}:"
    authority = re.split(r"[/?#]", rest.lstrip("/"), maxsplit=1)[0].rpartition("@")[2]
    return origin_of(f"{scheme}://{authority}")


WORDS = "https: http: // / \\ @ : ? # %2f %5c . .. 。 ／ é :443 x javascript: data: shop.example evil.example localhost:3000"
PIECES = st.lists(st.sampled_from([*WORDS.split(), *"\t\n\r \x00\u202e"]), max_size=9).map("".join)


@settings(max_examples=1_500, deadline=None)
@given(wanted=PIECES | st.text(max_size=40), posted_from=PIECES | st.sampled_from(["", PAGE, f"{OTHER}/a/b"]))
@example(wanted="/..//evil.example", posted_from=PAGE)
@example(wanted="\t//evil.example", posted_from="")
def test_no_browser_is_ever_led_to_another_origin(wanted: str, posted_from: str) -> None:
    found = go(wanted, posted_from=posted_from)
    assert browser_origin(found) in {SITE, OTHER, origin_of(OWN)}
    assert found.isascii()
    assert found.isprintable()
    assert "//" not in urlsplit(found).path


@given(st.text(max_size=60))
def test_an_origin_is_made_of_nothing_but_scheme_host_and_port(text: str) -> None:
    assert re.fullmatch(r"(https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?)?", origin_of(text))
