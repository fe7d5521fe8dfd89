"""Which field is which: in 937 forms as they stand in public code, names of fields as found and values invented, and
in 289 that were made up after the habits of plug-ins, services and site builders, to look for what was still missed.

Right in all four roles (e-mail, name, phone, message), measured on the day the forms were written down:

| forms | how they were used | the code before | after |
|---|---|---|---|
| tuned.json, 94 | looked at while the tables and scores were made | 41.5 % | 100 % |
| unseen.json, 87 | set aside by hash before that; collected by the same person, so not wholly unknown | 50.6 % | 98.9 % at first sight, 100 % now |
| fresh.json, 54 | collected after the code stood still, from other searches | - | 98.1 % at first sight, 100 % now |
| habits.json, 289 | made up later in four rounds, after how plug-ins, services and trades name fields | 82 % | at first sight 84, 88 and 80 % of the rounds, each after the one before had been mended; 100 % now, without three forms that say too little |
| public.json, 321, and 4 in missed.json | collected in four rounds from 32 languages, some values short, in small letters or a first name alone; the answers written down before the code ran | 93.8 % | at first sight 160 of 168, 49 of 53, 50 of 55 and 47 of 49, each after the round before had been mended; 98.5 % now |
| leads.json, 203, and 2 in missed.json | contact, quote, booking and sign-up forms in 29 languages, collected in two rounds with neutral words; the answers written down before the code ran | 113 of 126, 74 of 79 | 75 of the second 79 at first sight, the first 126 mended before; 99.0 % now |
| sites.json, 170, and 2 in missed.json | contact, quote, booking and sign-up forms in 27 languages, five of eight in English and seven other western ones, as small firms' sites are; run in two rounds, the answers written down before the code ran | 94 of 100, 48 of 51 | 48 of the second 51 at first sight, the first 100 mended before, and 21 of 21 sought later, five of them EmailJS' (15 of 21 before); 98.8 % now |

The honest number for forms nobody has seen: 306 of the 325, 187 of the 205 and then 142 of the 151, 94 of a hundred.
What is missed says too little: an address in a `textarea-861`, a surname in a `field_b743cd7` or one that means a first
name, `no nuts` in the details of a meal.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from leadapp.leads.fields import Understood, as_text, understand

FORMS = Path(__file__).parent / "forms"
ROLES = ("email", "name", "phone", "message")
FILES = ("tuned.json", "unseen.json", "fresh.json", "habits.json", "public.json", "leads.json", "sites.json")


def forms_of(name: str) -> list[dict[str, Any]]:
    return json.loads((FORMS / name).read_text("utf-8"))


def every_form() -> list[dict[str, Any]]:
    return [form for file in FILES for form in forms_of(file)]


def told(found: Understood) -> dict[str, str]:
    return {role: getattr(found, role) for role in ROLES}


@pytest.mark.parametrize("form", every_form(), ids=lambda form: f"{form['language']}: {form['source']}")
def test_a_real_form_is_understood(form):
    found = understand(form["payload"])
    assert told(found) == form["expected"], found.reasons


@pytest.mark.parametrize("form", forms_of("missed.json"), ids=lambda form: f"{form['language']}: {form['source']}")
def test_a_form_that_says_too_little_is_still_misread(form):
    """Once the code reads one of these right, the form belongs into sites.json."""
    assert told(understand(form["payload"])) != form["expected"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("role", ROLES)
def test_ninety_five_of_a_hundred_are_right_in_every_role(name, role):
    forms = forms_of(name)
    right = sum(getattr(understand(form["payload"]), role) == form["expected"][role] for form in forms)
    assert right >= 0.95 * len(forms)


def test_there_are_enough_forms_in_enough_languages():
    forms = every_form()
    assert len(forms) >= 1000
    assert len({form["language"] for form in forms}) >= 32
    assert len({json.dumps(list(form["payload"])) + form["source"] for form in forms}) == len(forms)


@pytest.mark.parametrize("form", every_form(), ids=lambda form: f"{form['language']}: {form['source']}")
def test_every_role_of_a_real_form_has_a_reason_and_a_score(form):
    found = understand(form["payload"])
    filled = {role for role in ROLES if getattr(found, role)}
    assert filled <= found.reasons.keys()
    assert all(found.reasons[role] for role in filled)


@pytest.mark.parametrize("trap", ["_gotcha", "botcheck", "bot-field", "email_address_check", "b_0123456789ab_01234567"])
def test_a_honeypot_is_never_picked_in_any_real_form(trap):
    for form in every_form():
        payload = form["payload"]
        if len(payload) == 1:
            continue  # wrapped: the honeypot would stand inside
        for bait in ("bot@spam.example", "Bot Botson", "+49 30 5550123", "Buy our very cheap things right now, please"):
            found = understand({**payload, trap: bait})
            assert found.spam_reason
            assert bait not in told(found).values()
            assert trap not in found.answers


def test_answers_of_real_forms_are_plain_to_read():
    for form in every_form():
        assert all(as_text(value) for value in understand(form["payload"]).answers.values())
