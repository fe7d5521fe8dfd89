"""What the page of a lead says of rules, senders and persons, and its two buttons: check again, send anyway."""

from typing import Any
from uuid import UUID

from flask import flash

from leadapp.accounts import guard
from leadapp.leads import duplicates, rechecking
from leadapp.leads.models import IntegrationStatus, Lead, LeadStatus
from leadapp.leads.senders import SENDERS


def of(lead: Lead) -> dict[str, Any]:
    """Facts and buttons for admin/lead.html. The rules are run only for leads that they could help."""
    could_help = lead.status is LeadStatus.REJECTED or (
        lead.status is LeadStatus.PERMANENTLY_FAILED and lead.crm_status is IntegrationStatus.FAILED
    )
    why_not = rechecking.may_run_anew(lead) if could_help and guard.may(guard.DESK) else ""
    return {
        "origin": list(_origin(lead).items()),
        "is_spared": guard.may(guard.SENDERS) and duplicates.is_spared(lead.id),
        "may_check": could_help and guard.may(guard.DESK) and not why_not,
        "why_not": why_not,
    }


def _origin(lead: Lead) -> dict[str, str]:
    sender = SENDERS.get(lead.sender)
    found = {
        "Sent by": sender.label if sender else lead.sender,
        "Its id there": lead.external_id,
        "Rules": lead.rules_version.replace("v", "version ", 1) if lead.rules_version.startswith("v") else "",
    }
    return {title: value for title, value in found.items() if value}


def rejected(lead: Lead) -> str:
    """`Rejected by the rules of its form (ZIP_NOT_66XXX), so the customer's API does not get it. `; "" for others."""
    if lead.status is not LeadStatus.REJECTED:
        return ""
    codes = dict.fromkeys(str(one.get("code", "")) for one in lead.problems if one.get("by") == "rules")
    return f"Rejected by the rules of its form ({', '.join(codes)}), so the customer's API does not get it. "


def check_again(lead_id: UUID) -> None:
    """Today's rules and mapping for one lead, and what came of it."""
    applied = rechecking.apply_again(lead_id, guard.actor())
    if applied.planned:
        flash("It passes today's rules, and is on its way.", "success")
    elif applied.reason:
        flash(f"Nothing was sent: {applied.reason}.", "info")
    else:
        flash("It passes today's rules. There was nothing to send.", "success")


def send_anyway(lead_id: UUID) -> None:
    """The customer's API gets this one too, though it is of a person that it was told of."""
    if duplicates.send_to_customer_anyway(lead_id, guard.actor()):
        flash("On its way to the customer's API.", "success")
    else:
        flash("There is nothing left to send: it was sent already.", "info")
