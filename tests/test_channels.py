"""The contract of every channel: adding one is its file, one line in CHANNELS, and its own test."""

import inspect
import json

import pytest

from leadapp import queue
from leadapp.admin.destinations import OFFERED
from leadapp.config import settings
from leadapp.deliveries.channels import CHANNELS
from leadapp.deliveries.due import JOB_OF, QUEUE_KINDS
from leadapp.deliveries.models import Delivery, Kind, Purpose
from leadapp.deliveries.outbox import PURPOSES
from leadapp.deliveries.words import KIND_NAMES, THINGS
from leadapp.errors import DeliveryError, NotSentError
from leadapp.leads.integration import OWN_PURPOSES
from leadapp.leads.models import Lead
from leadapp.leads.planning import BODIES
from tests.channels_fixtures import crm_claim, mail_claim, soon, webhook_claim

BROKEN = {
    Kind.EMAIL: lambda: mail_claim("nobody"),
    Kind.WEBHOOK: lambda: webhook_claim("http://10.0.0.1/"),
    Kind.CRM: lambda: crm_claim("http://10.0.0.1/"),
}
# Everything that has to know each Kind, or each Purpose, by the name under which one finds it.
KNOW_KINDS = {
    "CHANNELS (leadapp/deliveries/channels/__init__.py)": set(CHANNELS),
    "QUEUE_KINDS (leadapp/deliveries/due.py)": {kind for kinds in QUEUE_KINDS.values() for kind in kinds},
    "PURPOSES (leadapp/deliveries/outbox.py)": set(PURPOSES),
    "KIND_NAMES (leadapp/deliveries/words.py)": set(KIND_NAMES),
    "THINGS (leadapp/deliveries/words.py)": set(THINGS),
    "BODIES (leadapp/leads/planning.py)": {*BODIES, Kind.CRM},  # the customer's body is what the mapping made
    "OFFERED (leadapp/admin/destinations.py)": set(OFFERED),
    "the columns <kind>_... of Lead (leadapp/leads/models.py)": {
        kind
        for kind in Kind
        if all(hasattr(Lead, f"{kind}_{name}") for name in ("status", "sent_at", "last_error", "attempts"))
    },
    "BROKEN (tests/test_channels.py)": set(BROKEN),
}
KNOW_PURPOSES = {
    "PURPOSES (leadapp/deliveries/outbox.py)": set(PURPOSES.values()),
    "JOB_OF (leadapp/deliveries/due.py)": {purpose for purpose, job in JOB_OF.items() if job in queue.JOBS},
    "OWN_PURPOSES (leadapp/leads/integration.py)": OWN_PURPOSES,
}


@pytest.mark.parametrize("table", KNOW_KINDS)
def test_no_table_forgets_a_channel(table):
    missing = [str(kind) for kind in Kind if kind not in KNOW_KINDS[table]]
    assert missing == [], f"{table} does not know {missing}"


@pytest.mark.parametrize("table", KNOW_PURPOSES)
def test_no_table_forgets_a_purpose(table):
    missing = [str(purpose) for purpose in Purpose if purpose not in KNOW_PURPOSES[table]]
    assert missing == [], f"{table} does not know {missing}"


@pytest.mark.parametrize("kind", CHANNELS)
def test_a_channel_sends_and_knows_its_longest_send(app, kind):
    channel = CHANNELS[kind]
    assert list(inspect.signature(channel.send).parameters) == ["claim", "deadline"]
    assert 0 < channel.deadline_seconds(settings()) <= settings().lease_seconds / 2


@pytest.mark.parametrize("kind", CHANNELS)
def test_a_channel_fails_only_with_delivery_errors(app_with, kind):
    app_with(mail_backend="none")
    with pytest.raises(DeliveryError) as failed:
        CHANNELS[kind].send(BROKEN[kind](), soon())
    assert str(failed.value)


@pytest.mark.parametrize("kind", CHANNELS)
def test_a_channel_begins_nothing_when_there_is_no_time(app, kind):
    with pytest.raises(NotSentError):
        CHANNELS[kind].send(BROKEN[kind](), soon(-0.1))


@pytest.mark.parametrize("kind", CHANNELS)
def test_a_channel_says_what_a_second_run_does(kind):
    assert "A second run" in (inspect.getdoc(inspect.getmodule(CHANNELS[kind].send)) or "")


def test_a_mails_payload_is_json_as_the_table_says():
    parts = set(json.loads(mail_claim().payload))
    assert parts == {"subject", "text", "html", "reply_to", "from_name"}
    assert {part for part in parts if part not in (Delivery.__doc__ or "")} == set()
