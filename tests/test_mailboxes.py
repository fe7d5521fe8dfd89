"""`Name <address>` and quoted addresses: the lead gets the address, and keeps what was typed."""

import pytest
from sqlalchemy import select

from leadapp.deliveries.models import Kind
from leadapp.extensions import db
from leadapp.leads.mailboxes import is_mailbox, named_address
from leadapp.leads.models import Lead
from tests.factories import add_desk, add_form, post_lead, the_row
from tests.sinks import time_limit

TYPED = "Ada Lovelace <ada@example.com>"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (TYPED, ("Ada Lovelace", "ada@example.com")),
        ('  "Lovelace, Ada" <ada@example.com> ', ("Lovelace, Ada", "ada@example.com")),
        ("<ada@example.com>", ("", "ada@example.com")),
        ("Ada <mailto:ada@example.com>", ("Ada", "ada@example.com")),
        ('Ada <"ada b"@example.com>', ("Ada", '"ada b"@example.com')),
        ("Ada <ada@müller.example>", ("Ada", "ada@müller.example")),
        ("Ada < MAILTO: ada@example.com >", ("Ada", "ada@example.com")),
        ("ada@example.com", None),
        ("Ada <ada at example.com>", None),
        ("Ada <a@example.com> <b@example.com>", None),
        ("<a@example.com>, <b@example.com>", None),
        ("Ada <ada@example.com\r\nBcc: eve@example.com>", None),
        ("<" * 5_000 + "@" * 5_000, None),
    ],
)
def test_an_address_with_words_before_it(text: str, found: tuple[str, str] | None) -> None:
    assert named_address(text) == found


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("ada@example.com", True),
        ('"ada b"@example.com', True),
        ('"ada b@example.com', False),
        ('"a\r\nb"@example.com', False),
        ('"ada b"@', False),
        ("", False),
        ('"' * 5_000 + '"@example.com', False),
    ],
)
def test_what_mail_can_be_sent_to(text: str, is_one: bool) -> None:
    assert is_mailbox(text) is is_one


def test_the_lead_gets_the_address_and_keeps_what_was_typed(app: object) -> None:
    lead = post_lead(add_desk()[0], email=TYPED, name="Countess")
    assert (lead.email, lead.name, lead.problems) == ("ada@example.com", "Countess", [])
    assert lead.fields["email"] == TYPED
    assert '"reply_to": "ada@example.com"' in the_row(lead, Kind.EMAIL).payload


def test_what_was_typed_stays_beside_an_answer_of_the_same_name(app: object) -> None:
    lead = post_lead(add_form(), email="", **{"your.email": TYPED, "your": {"email": "weekly"}})
    assert lead.email == "ada@example.com"
    assert sorted(lead.fields.values()) == [TYPED, "weekly"]


def test_spaces_without_end_cost_no_time() -> None:
    with time_limit(1):
        assert [named_address("<" + " " * 990 + "x") for _ in range(30)] == [None] * 30


def test_it_gives_a_lead_without_a_name_one(app: object) -> None:
    form = add_form()
    assert post_lead(form, email=TYPED, name="").name == "Ada Lovelace"
    assert post_lead(form, email="order no. 7 <ada@example.com>", name="").name == ""


def test_a_quoted_address_is_no_fault(app: object) -> None:
    lead = post_lead(add_desk()[0], email='"ada b"@example.com')
    assert (lead.email, lead.problems) == ('"ada b"@example.com', [])
    assert "email" not in lead.fields


def test_what_is_no_address_is_kept_with_its_fault(app: object) -> None:
    lead = post_lead(add_form(), email="Ada <ada at example.com>")
    assert lead.email == "Ada <ada at example.com>"
    assert [one["code"] for one in lead.problems] == ["TYPE_EMAIL"]


def test_what_was_typed_stays_typed_where_rules_bring_answers_into_form(app: object) -> None:
    lead = post_lead(add_form(country="DE"), email=TYPED)
    assert (lead.email, lead.fields["email"]) == ("ada@example.com", TYPED)


def test_it_is_the_same_person_as_without_the_name(app: object) -> None:
    form = add_form()
    first = post_lead(form, email="ada@example.com")
    assert post_lead(form, email=TYPED).same_person_as_id == first.id


@pytest.mark.parametrize("email", [TYPED, '"ada b"@example.com'])
def test_a_strict_form_takes_it(app: object, client: object, email: str) -> None:
    add_form(is_strict=True)
    answer = client.post("/f/contact", json={"email": email}, headers={"Accept": "application/json"})  # type: ignore[attr-defined]
    assert answer.status_code == 200
    assert len(db.session.scalars(select(Lead)).all()) == 1
