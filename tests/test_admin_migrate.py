"""Moving a form here: what will be found, what is obeyed, and the changed HTML."""

import pytest

from leadapp.admin import migrating

from .desk import Desk
from .factories import add_form

HERE = "https://desk.example/f/contact"
FORM = """<h2>Contact</h2>
<form class="c" action="https://formspree.io/f/abc" method="POST" id="x">
  <label>Your name <input name="your-name"></label>
  <label>E-Mail <input type="email" name="mail" required></label>
  <input type="tel" name="phone">
  <textarea name="message"></textarea>
  <input name="company" placeholder="Company">
  <input type="hidden" name="_next" value="/thanks">
  <input type="hidden" name="_webhook" value="https://x.example">
  <input type="hidden" name="utm_source" value="flyer">
  <input name="_gotcha" style="display:none">
  <input type="submit" name="go" value="Send">
</form>"""


@pytest.fixture
def desk(app):
    return Desk(app)


def meanings(html, honeypot=""):
    return {line.name: line.meaning for line in migrating.plan(html, HERE, honeypot).lines}


def test_each_field_is_named_for_what_it_will_be():
    assert meanings(FORM) == {
        "your-name": "name",
        "mail": "e-mail",
        "phone": "phone",
        "message": "message",
        "company": "answer",
        "_next": "ignored",
        "_webhook": "ignored",
        "utm_source": "where it came from",
        "_gotcha": "obeyed",
    }


def test_special_fields_say_why():
    why = {line.name: line.why for line in migrating.plan(FORM, HERE).lines}
    assert "a visitor could change it" in why["_webhook"]
    assert "own site" in why["_next"]


def test_only_the_opening_tag_changes():
    changed = migrating.plan(FORM, HERE).snippet
    before, _, after = FORM.partition('<form class="c" action="https://formspree.io/f/abc" method="POST" id="x">')
    assert changed == f'{before}<form action="{HERE}" method="post" class="c" id="x">{after}'


@pytest.mark.parametrize(
    "tag",
    ["<form>", "<FORM ACTION=/old METHOD=get>", "<form action='/old'>", '<form\n action="/old"\n method="get">'],
)
def test_every_spelling_of_the_tag_gets_the_new_address(tag):
    changed = migrating.plan(f"{tag}<input name=email></form>", HERE).snippet
    assert f'<form action="{HERE}" method="post"' in changed
    assert "/old" not in changed
    assert "get" not in changed.lower()


def test_netlify_lets_go_of_the_form():
    plan = migrating.plan('<form name="c" data-netlify="true" netlify><input name="email"></form>', HERE)
    assert "netlify" not in plan.snippet
    assert any("Netlify" in note for note in plan.notes)


def test_fields_without_a_form_get_one():
    plan = migrating.plan("<input name=email>", HERE)
    assert plan.snippet == f'<form action="{HERE}" method="post">\n<input name=email>\n</form>'


def test_the_first_of_two_forms_counts():
    plan = migrating.plan("<form><input name=email></form><form><input name=q></form>", HERE)
    assert [line.name for line in plan.lines] == ["email"]
    assert any("more than one form" in note for note in plan.notes)


def test_files_need_the_right_encoding():
    plan = migrating.plan("<form><input type=file name=cv></form>", HERE)
    assert any("enctype" in note for note in plan.notes)
    assert plan.snippet.startswith(f'<form action="{HERE}" method="post" enctype="multipart/form-data"><input')


HOME = migrating.Home("https://shop.example", ["https://b.example"], ["boss@shop.example"])


@pytest.mark.parametrize(
    ("name", "value", "home", "meaning", "words"),
    [
        ("_next", "/thanks", HOME, "obeyed", "gets to https://shop.example/thanks."),
        ("_next", "https://b.example/ok", HOME, "obeyed", "gets to https://b.example/ok."),
        ("redirect", "https://c.example/ok", HOME, "ignored", "does not know https://c.example."),
        ("_next", "/thanks", migrating.Home(), "ignored", "does not know its own site"),
        ("_next", "/thanks", migrating.Home("", ["https://b.example"]), "obeyed", "the allowed site"),
        ("_next", "", HOME, "obeyed", "own site"),
        ("_cc", "Boss@shop.example", HOME, "obeyed", "a copy goes there"),
        ("_cc", "boss@shop.example, x@y.example", HOME, "ignored", "x@y.example is not on the form's list"),
        ("_template", "table", HOME, "ignored", "one layout"),
        ("_captcha", "false", HOME, "ignored", "no captcha here"),
        ("wbraid", "", HOME, "where it came from", "source"),
    ],
)
def test_a_special_field_is_judged_by_its_value_and_by_what_the_form_allows(name, value, home, meaning, words):
    html = f'<form><input name="email"><input type="hidden" name="{name}" value="{value}"></form>'
    line = next(line for line in migrating.plan(html, HERE, home=home).lines if line.name == name)
    assert (line.meaning, words in line.why) == (meaning, True), line.why


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ('<form netlify netlify-honeypot="website"><input name=email><input name=website></form>', "“website”"),
        ('<form><input name=email><div class="g-recaptcha"></div></form>', "captcha"),
        ('<form onsubmit="return send()"><input name=email></form>', "onsubmit"),
    ],
)
def test_what_the_snippet_cannot_change_is_said(html, words):
    assert any(words in note for note in migrating.plan(html, HERE).notes)


def test_a_trap_that_is_known_here_needs_no_word():
    for trap, own in (("bot-field", ""), ("website", "website")):
        html = f'<form data-netlify-honeypot="{trap}"><input name=email><input name="{trap}"></form>'
        assert not any("trap" in note for note in migrating.plan(html, HERE, own).notes)


def test_the_forms_own_trap_is_a_trap():
    assert meanings("<form><input name=email><input name=website></form>", "website")["website"] == "trap"


def test_what_is_missing_is_said():
    assert migrating.plan("<form><input name=email type=email></form>", HERE).missing == ["name", "phone", "message"]


@pytest.mark.parametrize(
    "html", ["", "hello", "<form></form>", "<<<", "<input>", "<form><input type=submit name=a>", "\0" * 9]
)
def test_a_text_without_fields_has_no_plan(html):
    assert migrating.plan(html, HERE) is None


def test_the_page_never_shows_what_was_pasted_as_html(desk):
    form = add_form()
    evil = '<form><input name="email"><script>alert(1)</script><img src=x onerror=alert(1)></form></textarea><b>'
    page = desk.post("/admin/forms/migrate", html=evil, form=form.id).text
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert" in page
    assert f"/f/{form.key}&#34; method=" in page
    assert f'href="/admin/forms/edit/?id={form.id}"' in page


def test_the_page_explains_an_empty_paste(desk):
    add_form()
    assert "What will be found" not in desk.text("/admin/forms/migrate")
    assert "There is no field with a name" in desk.post("/admin/forms/migrate", html="hello").text


def test_a_desk_without_forms_breaks_nothing(desk):
    assert desk.post("/admin/forms/migrate", html=FORM).status_code == 200
