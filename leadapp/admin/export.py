"""CSV cells that no spreadsheet takes for a formula (OWASP, "CSV Injection")."""

import unicodedata

FORMULA = ("=", "+", "-", "@", "|", "%", "−")
BREAKS = ("\t", "\r", "\n")


def safe_cell(value: object) -> str:
    """The text of one cell; whatever could start a formula gets a ' in front, as spreadsheets write text.

    That holds behind spaces and invisible characters and for full-width letters too. A telephone number keeps its
    plus behind the ': bare, a spreadsheet would drop it or subtract its groups.
    """
    text = "" if value is None else str(value)
    return f"'{text}" if _starts_formula(text) else text


def _starts_formula(text: str) -> bool:
    if text.startswith(BREAKS):
        return True
    # NFKC folds ＝ ＋ － ＠ into their plain forms, and the many spaces into one kind.
    folded = unicodedata.normalize("NFKC", text.lstrip()[:64]).lstrip()
    while folded and unicodedata.category(folded[0]) in ("Cf", "Cc", "Zs"):
        folded = folded[1:]
    return folded.startswith(FORMULA)
