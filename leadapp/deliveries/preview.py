"""The request that a row for the customer's API would become, for people: nothing is sent, and secrets stay hidden."""

from dataclasses import dataclass

from leadapp import clock, http
from leadapp.columns import new_id
from leadapp.deliveries.channels import crm, posting
from leadapp.deliveries.claims import Claim
from leadapp.deliveries.models import Destination, Kind, Purpose
from leadapp.errors import DestinationError

HIDDEN = "••••••••"
SECRET_HEADERS = frozenset({"Authorization"})


@dataclass(frozen=True)
class Preview:
    """Method, address, headers and body as they would go over the wire; `fault` says why they could not."""

    address: str
    headers: dict[str, str]
    body: str
    fault: str = ""
    method: str = "POST"


def of_customer(destination: Destination, body: str) -> Preview:
    """With the channel's own code, so that what is shown is what would be sent. Ids are made anew for each lead."""
    moment = clock.now()
    claim = Claim(
        delivery_id=new_id(),
        lead_id=None,
        destination_id=destination.id,
        kind=Kind.CRM,
        purpose=Purpose.LEAD_TO_CUSTOMER,
        recipient=destination.recipient,
        payload=body,
        secret=destination.secret,
        fence=1,
        number=1,
        tries=1,
        created_at=moment,
        settings=destination.settings,
        claimed_at=moment,
        correlation_id=str(new_id()),
    )
    try:
        own, fault = crm.headers(claim), ""
    except DestinationError as error:
        own, fault = {}, str(error)
    headers = {name: _hidden(name, value) for name, value in {**http.HEADERS, **posting.JSON, **own}.items()}
    return Preview(posting.address_of(claim), headers, body, fault)


def _hidden(name: str, value: str) -> str:
    """Of a secret only its scheme: `Bearer ••••••••`."""
    if name not in SECRET_HEADERS:
        return value
    scheme, _, rest = value.partition(" ")
    return f"{scheme} {HIDDEN}" if rest else HIDDEN
