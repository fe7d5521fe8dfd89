"""One file a channel; CHANNELS names them all."""

from leadapp.deliveries.channels import email, webhook
from leadapp.deliveries.claims import Channel
from leadapp.deliveries.models import Kind

CHANNELS: dict[Kind, Channel] = {Kind.EMAIL: email, Kind.WEBHOOK: webhook}
