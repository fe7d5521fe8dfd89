"""Google Ads lead forms (https://developers.google.com/google-ads/webhook/docs/implementation).

Columns keep their ids (FULL_NAME, EMAIL, POSTAL_CODE, ...), questions of one's own their words. Ids are int64.
"""

from typing import Any

from leadapp.leads.field_payload import as_text
from leadapp.leads.senders.proofs import is_same
from leadapp.leads.senders.shape import Answers, Headers, Incoming, Sender, id_of, is_yes, rows

KEY = "google_key"
VALUES = ("string_value", "value", "string_values", "values")
ABOUT = (
    *("api_version", "form_id", "campaign_id", "campaign_name", "adgroup_id", "adgroup_name", "creative_id"),
    *("asset_group_id", "lead_stage", "lead_submit_time", "lead_source"),
)


def recognises(parsed: Any, _headers: Headers) -> bool:
    return isinstance(parsed, dict) and isinstance(parsed.get("user_column_data"), list)


def proof(_raw: bytes, _headers: Headers, parsed: Any, secret: str) -> bool:
    return isinstance(parsed, dict) and is_same(parsed.get(KEY), secret)


def leads(parsed: Any) -> list[Incoming]:
    answers = Answers()
    for column in rows(parsed.get("user_column_data")):
        value = next((column[name] for name in VALUES if column.get(name) not in (None, "")), None)
        answers.put(_name(column), value)
    answers.put("gclid", parsed.get("gcl_id"))
    answers.put("lead_source", "google ads")
    answers.put("utm_campaign", as_text(parsed.get("campaign_name") or parsed.get("campaign_id")))
    known = {*ABOUT, KEY, "user_column_data", "gcl_id", "lead_id", "is_test"}
    answers.put_all({name: value for name, value in parsed.items() if name not in known})
    answers.keep({name: parsed.get(name) for name in ("lead_id", *ABOUT)})
    return [Incoming(dict(answers), id_of(parsed.get("lead_id")), is_yes(parsed.get("is_test")))]


def _name(column: dict[str, Any]) -> str:
    """The id of a standard column, all in capitals; a question's own words where the id is made up."""
    name, words = as_text(column.get("column_id")), as_text(column.get("column_name"))
    is_standard = name.isupper() and not name.startswith("QUESTION")
    return name if is_standard or not words else words


GOOGLE_ADS = Sender("google_ads", "Google Ads lead forms", recognises, leads, proof)
