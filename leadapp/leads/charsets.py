"""The text of bytes in a charset that somebody named: the names and their meaning as browsers have them.

The table is the WHATWG Encoding standard's, as far as Python decodes it. Only names in it are looked up: Python's own
registry also knows codecs that are slow on purpose-made input or no charset at all.
"""

import codecs
import json
import re

UTF_8 = "utf-8"
_TABLE = {
    UTF_8: "utf8 unicode11utf8 unicode20utf8 xunicode20utf8",
    "utf-16": "utf16 unicode csunicode iso10646ucs2 ucs2",
    "utf-16-le": "utf16le unicodefeff",
    "utf-16-be": "utf16be unicodefffe",
    # What says Latin-1 is Windows-1252 on the web: browsers send the euro and the dash of that table.
    "cp1252": "ascii usascii iso88591 latin1 l1 windows1252 cp1252 xcp1252 ansix341968 iso885911987 cp819 ibm819",
    "cp1254": "iso88599 latin5 l5 windows1254 cp1254",
    "cp874": "iso885911 tis620 dos874 windows874",
    "koi8_r": "koi8r koi8 koi",
    "koi8_u": "koi8u koi8ru",
    "mac_roman": "macintosh mac xmacroman",
    "cp932": "shiftjis sjis xsjis mskanji ms932 windows31j csshiftjis",
    "euc_jp": "eucjp xeucjp",
    "iso2022_jp": "iso2022jp",
    "gb18030": "gb18030 gbk xgbk gb2312 cp936 chinese",
    "big5hkscs": "big5 big5hkscs cnbig5 xxbig5 cp950",
    "cp949": "euckr ksc5601 ksc56011987 korean windows949 cp949",
    "cp866": "cp866 ibm866",
    **{f"iso8859_{part}": f"iso8859{part} latin{part}" for part in (2, 3, 4, 6, 7, 8, 10, 13, 14, 16)},
    "iso8859_5": "iso88595 cyrillic",
    "iso8859_15": "iso885915 latin9 l9",
    **{f"cp125{part}": f"windows125{part} cp125{part} xcp125{part}" for part in (0, 1, 3, 5, 6, 7, 8)},
}
CODECS = {name: codec for codec, names in _TABLE.items() for name in names.split()}
LONGEST_NAME = 40


def clean(text: str) -> str:
    """Fit for a database: no NUL, lone surrogates replaced."""
    return text.replace("\x00", "").encode(UTF_8, "replace").decode()


def codec_of(charset: str) -> str:
    """Python's name of a charset, "" for one that nobody knows."""
    return CODECS.get(re.sub(r"[^a-z0-9]", "", charset[:LONGEST_NAME].lower()), "")


def decode(raw: bytes, charset: str = "") -> str:
    """Text of a field: by the named charset if it fits, else as UTF-8; what fits neither is replaced."""
    codec = codec_of(charset) or UTF_8
    for name in (codec, UTF_8):
        try:
            return clean(raw.decode(name))
        except UnicodeDecodeError:
            continue
    return clean(raw.decode(codec, "replace"))


def as_utf8(raw: bytes, charset: str) -> tuple[bytes, str]:
    """A whole body that came in UTF-16 or UTF-32, or with a byte order mark, as plain UTF-8, and the charset left.

    Other bodies stay as they are: there, `charset` is what the values are in.
    """
    if raw.startswith(codecs.BOM_UTF8):
        return raw.removeprefix(codecs.BOM_UTF8), UTF_8
    wide = _wide_codec(raw, codec_of(charset))
    return (raw.decode(wide, "replace").encode(UTF_8, "replace"), UTF_8) if wide else (raw, charset)


def _wide_codec(raw: bytes, declared: str) -> str:
    """What the body itself, not its percent-encoded values, is in when it is not made of single bytes; else ""."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return json.detect_encoding(raw)
    zeros = raw.count(b"\0")
    if zeros and declared.startswith("utf-16"):
        return declared
    seen = json.detect_encoding(raw[:4])
    return seen if zeros * 4 >= len(raw) and not seen.startswith("utf-8") else ""
