"""Development's provider: nothing leaves the machine, the mail is read on its delivery in the admin."""

import logging

from leadapp.messages.outgoing import Handed, Mail

logger = logging.getLogger(__name__)


def send(mail: Mail, _deadline: float) -> Handed:
    """Say in the log that there is a mail to read, without what is in it."""
    logger.info("mail %s can be read in the admin", mail.delivery_id, extra={"delivery_id": mail.delivery_id})
    return Handed(None, "shown in the admin (development)")
