"""The owner's mail: everything that the lead said, nothing that a mail program would run."""

import json
from datetime import UTC, datetime

import pytest

from leadapp.columns import new_id
from leadapp.files.models import Document
from leadapp.leads.models import Form, Lead
from leadapp.leads.notification import build_lead_notification_context, email_payload
from leadapp.messages import render

SCRIPT = "<script>alert(1)</script>"


def lead(**overrides) -> Lead:
    form = Form(key="contact", name="Contact form", form_type="contact")
    facts = {
        "id": new_id(),
        "form": form,
        "form_type": "contact",
        "correlation_id": "c-1",
        "received_at": datetime(2026, 11, 22, 10, 41, tzinfo=UTC),
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "phone": "+44 20 7946 0000",
        "message": "Hello,\n\nplease call me.",
        "fields": {"your-company": "Analytical Engines", "topics": ["Looms", "Cards"], "address": {"zip": "SW1"}},
        "lead_source": "newsletter",
        "utm_source": "spring",
        "utm_medium": "email",
        "utm_campaign": "looms",
        "page_url": "https://shop.example/contact",
        "referrer": "https://search.example/",
    }
    return Lead(**{**facts, **overrides})


def mail(*args, **overrides) -> dict[str, str]:
    return json.loads(email_payload(lead(**overrides), *args))


@pytest.fixture(autouse=True)
def _app(app):
    """Every test runs inside the app's context."""


def test_the_subject_says_who_and_where():
    assert mail()["subject"] == "Ada Lovelace via Contact form"


@pytest.mark.parametrize(
    ("overrides", "who"),
    [
        ({"name": ""}, "ada@example.com"),
        ({"name": "", "email": ""}, "+44 20 7946 0000"),
        ({"name": "", "email": "", "phone": ""}, "New enquiry"),
        ({"is_test": True}, "[Test] Ada Lovelace"),
    ],
)
def test_the_subject_falls_back_to_what_is_known(overrides, who):
    assert mail(**overrides)["subject"] == f"{who} via Contact form"


@pytest.mark.parametrize("part", ["text", "html"])
def test_both_versions_hold_everything_that_came_in(part):
    shown = mail([Document(name="plan.pdf", size=1_500_000, content_type="application/pdf", sha256="0")])[part]
    for expected in (
        "New enquiry from Ada Lovelace",
        "ada@example.com",
        "+44 20 7946 0000",
        "please call me.",
        "Your company",
        "Analytical Engines",
        "Looms, Cards",
        "zip: SW1",
        "Contact form",
        "(contact)",
        "newsletter",
        "spring",
        "looms",
        "https://shop.example/contact",
        "https://search.example/",
        "plan.pdf",
        "1.5 MB",
        "22 November 2026, 10:41 UTC",
        "/admin/leads/",
    ):
        assert expected in shown, expected


def test_what_is_missing_is_not_mentioned():
    text = mail(phone="", message="", fields={}, utm_source="", referrer="")["text"]
    for absent in ("Phone", "Campaign source", "Came from", "came with it", "None"):
        assert absent not in text
    assert "\n\n\n" not in text


def test_the_link_leads_to_the_lead(app_with):
    app_with(frontend_base_url="https://leads.shop.example/")
    made = lead()
    assert f"https://leads.shop.example/admin/leads/{made.id}" in json.loads(email_payload(made))["html"]


def test_there_is_no_link_when_nobody_said_where_we_are(app_with):
    app_with(app_env="production", secret_key="s" * 32, encryption_keys="k" * 32)
    assert build_lead_notification_context(lead())["link"] == ""
    assert "See it in Leadapp" not in mail()["html"]


@pytest.mark.parametrize(
    "field", ["name", "email", "phone", "message", "page_url", "referrer", "utm_source", "form_type"]
)
def test_html_is_escaped_in_every_field(field):
    assert "<script" not in mail(**{field: SCRIPT})["html"]


def test_html_is_escaped_in_answers_files_and_forms():
    form = Form(key="contact", name=SCRIPT, form_type="contact")
    files = [Document(name=SCRIPT, size=1, content_type="text/plain", sha256="0")]
    html = mail(files, form=form, fields={SCRIPT: SCRIPT}, problems=[{"message": SCRIPT}])["html"]
    assert "<script" not in html
    assert html.count("alert(1)") >= 5


def test_an_address_of_a_page_is_text_and_no_link():
    html = mail(page_url="javascript:alert(1)", referrer="javascript:alert(2)")["html"]
    assert 'href="javascript' not in html


def test_template_syntax_is_shown_as_it_was_typed():
    made = mail(name="{{ 7 * 7 }}{% for x in y %}", fields={"{{ config }}": "{{ lead.id }}"})
    assert made["subject"].startswith("{{ 7 * 7 }}{% for x in y %}")
    assert "{{ lead.id }}" in made["text"]


def test_a_line_break_in_a_name_does_not_reach_the_subject():
    assert mail(name="Ada\r\nBcc: eve@example.com")["subject"] == "Ada Bcc: eve@example.com via Contact form"


def test_the_reply_goes_to_the_lead_only_at_a_valid_address():
    assert mail()["reply_to"] == "ada@example.com"
    made = mail(email="ada at example")
    assert made["reply_to"] == ""
    assert "ada at example" in made["text"]
    assert "your answer goes to" not in made["text"]


def test_the_sender_is_never_the_visitor():
    assert mail(fields={"from_name": "Bank"})["from_name"] == ""


def test_problems_are_named():
    text = mail(problems=[{"code": "TYPE_EMAIL", "message": "This does not look like an e-mail address."}])["text"]
    assert "This does not look like an e-mail address." in text


def test_a_message_of_100_kb_is_whole_and_control_characters_are_gone():
    made = mail(message="x" * 100_000 + "\x00\x07end")
    assert "x" * 100_000 + "end" in made["text"]
    assert "x" * 100_000 + "end" in made["html"]


def test_a_lead_of_which_nothing_is_known_still_makes_a_mail():
    bare = lead(**dict.fromkeys(["name", "email", "phone", "message", "lead_source", "utm_source"], None), fields=None)
    assert json.loads(email_payload(bare))["subject"] == "New enquiry via Contact form"


def test_rendering_does_not_depend_on_a_request(app):
    with app.test_request_context("/", headers={"Host": "evil.example"}):
        assert "evil.example" not in mail()["html"]


def test_a_locale_without_templates_of_its_own_takes_the_common_ones():
    context = build_lead_notification_context(lead())
    assert render("lead_notification", context, "de") == render("lead_notification", context)
