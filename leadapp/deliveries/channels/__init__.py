"""One file a channel, beside what those that post share (posting.py); CHANNELS names them all."""

from leadapp.deliveries.channels import crm, email, webhook
from leadapp.deliveries.claims import Channel
from leadapp.deliveries.models import Kind

CHANNELS: dict[Kind, Channel] = {Kind.EMAIL: email, Kind.WEBHOOK: webhook, Kind.CRM: crm}
