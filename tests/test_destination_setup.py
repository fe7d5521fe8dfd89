"""`flask setup` and the destinations that environment variables name."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from leadapp import audit, signing
from leadapp.deliveries.models import Destination, DestinationState, DisabledBy, Kind, ManagedBy
from leadapp.deliveries.setup import upsert_destinations
from leadapp.errors import ConfigurationError
from leadapp.extensions import db
from leadapp.leads.models import Form
from leadapp.leads.setup import ensure_forms

URL = "https://hooks.example.com/catch/1/secret"
SetUp = Callable[..., dict[str, Destination]]
OFF, ON, PAUSED = DestinationState.DISABLED, DestinationState.ACTIVE, DestinationState.PAUSED


@pytest.fixture(autouse=True)
def _app(app: Any) -> None:
    """Every test here runs inside an app with an empty database."""


@pytest.fixture
def set_up(settings_for: Any) -> SetUp:
    """set_up(variable=value, ...) -> every destination afterwards, by its env_key."""

    def run(owner: str | None = None, **named: Any) -> dict[str, Destination]:
        upsert_destinations(settings_for(**named), owner)
        return rows()

    return run


def rows() -> dict[str, Destination]:
    found = db.session.scalars(select(Destination).execution_options(populate_existing=True))
    return {row.env_key or "": row for row in found}


def change(row: Destination, **values: Any) -> None:
    for name, value in values.items():
        setattr(row, name, value)
    db.session.commit()


def test_every_address_of_the_list_is_a_destination_of_its_own(set_up: SetUp) -> None:
    found = set_up(lead_notification_email="Ada@shop.example, bob@shop.example")
    assert {key: row.settings for key, row in found.items()} == {
        "LEAD_NOTIFICATION_EMAIL:ada@shop.example": {"to": "Ada@shop.example"},
        "LEAD_NOTIFICATION_EMAIL:bob@shop.example": {"to": "bob@shop.example"},
    }
    assert {(row.kind, row.state, row.managed_by) for row in found.values()} == {(Kind.EMAIL, ON, ManagedBy.ENV)}


def test_one_address_written_twice_is_one_destination(set_up: SetUp) -> None:
    assert len(set_up(lead_notification_email="ada@shop.example,ADA@shop.example")) == 1


def test_addresses_of_test_domains_and_bare_hosts_are_taken(set_up: SetUp) -> None:
    assert len(set_up(lead_notification_email="a@shop.test,b@localhost,c@mail.internal")) == 3


def test_setting_up_twice_changes_nothing(set_up: SetUp) -> None:
    before = {key: (row.id, row.secret) for key, row in set_up(zapier_webhook_url=URL).items()}
    after = {key: (row.id, row.secret) for key, row in set_up(zapier_webhook_url=URL).items()}
    assert before == after
    assert [event.action for event in audit.history(*rows().values())] == ["destination made"]


def test_nobody_is_told_when_nobody_is_named(set_up: SetUp) -> None:
    assert set_up() == {}


def test_the_first_owner_is_told_when_no_address_is_set(set_up: SetUp) -> None:
    assert list(set_up(owner="Owner@shop.example")) == ["LEAD_NOTIFICATION_EMAIL:owner@shop.example"]


def test_the_first_owner_is_no_longer_told_once_an_address_is_set(set_up: SetUp) -> None:
    set_up(owner="owner@shop.example")
    found = set_up(owner="owner@shop.example", lead_notification_email="desk@shop.example")
    assert found["LEAD_NOTIFICATION_EMAIL:owner@shop.example"].state is OFF
    assert found["LEAD_NOTIFICATION_EMAIL:desk@shop.example"].state is ON


def test_a_removed_address_is_switched_off_and_the_others_stay(set_up: SetUp) -> None:
    set_up(lead_notification_email="ada@shop.example,bob@shop.example")
    found = set_up(lead_notification_email="bob@shop.example")
    ada = found["LEAD_NOTIFICATION_EMAIL:ada@shop.example"]
    assert (ada.state, ada.disabled_by) == (OFF, DisabledBy.ENV)
    assert "LEAD_NOTIFICATION_EMAIL" in ada.state_reason
    assert found["LEAD_NOTIFICATION_EMAIL:bob@shop.example"].state is ON


def test_a_cleared_variable_switches_off_and_setting_it_again_switches_on(set_up: SetUp) -> None:
    set_up(zapier_webhook_url=URL)
    assert set_up()["ZAPIER_WEBHOOK_URL"].disabled_by is DisabledBy.ENV
    again = set_up(zapier_webhook_url=URL)["ZAPIER_WEBHOOK_URL"]
    assert (again.state, again.disabled_by, again.state_reason) == (ON, None, "")


@pytest.mark.parametrize("by", [DisabledBy.PERSON, DisabledBy.RECEIVER])
@pytest.mark.parametrize("state", [OFF, PAUSED])
def test_what_a_person_or_a_receiver_stopped_is_never_revived(
    set_up: SetUp, state: DestinationState, by: DisabledBy
) -> None:
    row = set_up(zapier_webhook_url=URL)["ZAPIER_WEBHOOK_URL"]
    change(row, state=state, disabled_by=by, state_reason="410")
    assert set_up(zapier_webhook_url=URL)["ZAPIER_WEBHOOK_URL"].state is state
    set_up()
    back = set_up(zapier_webhook_url=URL)["ZAPIER_WEBHOOK_URL"]
    assert (back.state, back.disabled_by, back.state_reason) == (state, by, "410")


def test_a_paused_webhook_that_is_named_again_with_another_address_is_open(set_up: SetUp) -> None:
    row = set_up(zapier_webhook_url=URL)["ZAPIER_WEBHOOK_URL"]
    change(row, state=PAUSED, disabled_by=DisabledBy.RECEIVER, state_reason="refuses our token (401)")
    set_up()
    back = set_up(zapier_webhook_url="https://other.example/new")["ZAPIER_WEBHOOK_URL"]
    assert (back.state, back.disabled_by, back.state_reason) == (ON, None, "")


def test_a_new_address_of_the_webhook_replaces_the_old_one_in_place(set_up: SetUp) -> None:
    before = set_up(zapier_webhook_url=URL)["ZAPIER_WEBHOOK_URL"]
    kept = (before.id, before.secret)
    after = set_up(zapier_webhook_url="https://other.example.com/in")["ZAPIER_WEBHOOK_URL"]
    assert (after.id, after.secret) == kept
    assert (after.settings, after.name) == ({"url": "https://other.example.com/in"}, "other.example.com")


def test_a_signing_secret_is_made_once(set_up: SetUp) -> None:
    secret = set_up(zapier_webhook_url=URL)["ZAPIER_WEBHOOK_URL"].secret
    assert secret
    assert len(signing.secret_bytes(secret)) == 32


def test_a_signing_secret_of_the_environment_wins(set_up: SetUp) -> None:
    set_up(zapier_webhook_url=URL)
    given = signing.new_secret()
    assert set_up(zapier_webhook_url=URL, zapier_webhook_secret=given)["ZAPIER_WEBHOOK_URL"].secret == given
    assert set_up(zapier_webhook_url=URL)["ZAPIER_WEBHOOK_URL"].secret == given


@pytest.mark.parametrize(
    "named",
    [
        {"lead_notification_email": "not an address"},
        {"lead_notification_email": "Ada <ada@shop.example>"},
        {"lead_notification_email": "good@shop.example,@shop.example"},
        {"zapier_webhook_url": "hooks.example.com/1"},
        {"zapier_webhook_url": "ftp://hooks.example.com/1"},
        {"zapier_webhook_url": "https://"},
        {"zapier_webhook_url": "https://hooks.example.com:port/"},
        {"zapier_webhook_url": "https://hooks.example.com/a b"},
        {"zapier_webhook_url": "https://user:word@hooks.example.com/"},
        {"zapier_webhook_url": URL, "zapier_webhook_secret": "short"},
    ],
)
def test_a_bad_value_names_its_variable_and_writes_nothing(set_up: SetUp, named: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=list(named)[-1].upper()):
        set_up(**named)
    assert rows() == {}


def test_rows_that_an_admin_made_are_left_alone(set_up: SetUp) -> None:
    db.session.add(Destination(kind=Kind.WEBHOOK, name="By hand", settings={"url": URL}))
    db.session.commit()
    assert set_up()[""].state is ON


def test_every_install_has_a_contact_form_and_a_renamed_one_keeps_its_name() -> None:
    ensure_forms()
    form = db.session.scalars(select(Form).where(Form.key == "contact")).one()
    assert (form.key, form.name) == ("contact", "Contact form")
    form.name = "Ask us"
    db.session.commit()
    ensure_forms()
    assert set(db.session.scalars(select(Form.name))) == {"Ask us", "Gateway"}
