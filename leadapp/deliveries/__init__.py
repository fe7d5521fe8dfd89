"""Deliveries: the outbox, its protocol and its channels."""
