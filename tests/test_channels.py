"""The contract of every channel: adding one is its file, one line in CHANNELS, and its own test."""

import inspect
import json

import pytest

from leadapp.config import settings
from leadapp.deliveries.channels import CHANNELS
from leadapp.deliveries.models import Kind
from leadapp.errors import DeliveryError, NotSentError
from tests.channels_fixtures import crm_claim, mail_claim, soon, webhook_claim

BROKEN = {
    Kind.EMAIL: lambda: mail_claim("nobody"),
    Kind.WEBHOOK: lambda: webhook_claim("http://10.0.0.1/"),
    Kind.CRM: lambda: crm_claim("http://10.0.0.1/"),
}


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


def test_a_mails_payload_is_json():
    assert set(json.loads(mail_claim().payload)) == {"subject", "text", "html", "reply_to", "from_name"}
