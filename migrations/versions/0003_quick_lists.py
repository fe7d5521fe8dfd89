"""indexes for the lists, filters and search of the admin

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None

WORDS = (
    """to_tsvector('simple'::regconfig, translate(((("left"(lead.name, 200) || ' '::text) || lead.email::text) """
    """|| ' '::text) || "left"(lead.phone, 60), '@._-+/,;()'::text, '          '::text))"""
)
NEW = (
    ('ix_lead_status', 'lead', ['status', 'received_at', 'id'], ''),
    ('ix_lead_form', 'lead', ['form_id', 'received_at', 'id'], ''),
    ('ix_lead_folder', 'lead', ['is_spam', 'received_at', 'id'], ''),
    ('ix_lead_email_status', 'lead', ['email_status', 'received_at', 'id'], ''),
    ('ix_lead_webhook_status', 'lead', ['webhook_status', 'received_at', 'id'], ''),
    ('ix_lead_crm_status', 'lead', ['crm_status', 'received_at', 'id'], ''),
    ('ix_lead_test', 'lead', ['received_at', 'id'], 'is_test'),
    ('ix_delivery_created', 'delivery', ['created_at', 'id'], ''),
    ('ix_delivery_destination', 'delivery', ['destination_id', 'created_at', 'id'], ''),
    ('ix_delivery_kind', 'delivery', ['kind', 'created_at', 'id'], ''),
    ('ix_delivery_underway', 'delivery', ['created_at', 'id'], "state IN ('pending', 'sending', 'failed', 'held')"),
    ('ix_delivery_needs_you', 'delivery', ['created_at', 'id'], "state IN ('permanently_failed', 'unknown')"),
    ('ix_delivery_cancelled', 'delivery', ['created_at', 'id'], "state = 'cancelled'"),
    ('ix_delivery_answer', 'delivery', ['last_status_code', 'created_at', 'id'], 'last_status_code IS NOT NULL'),
    ('ix_attempt_started', 'attempt', ['started_at', 'id'], ''),
    ('ix_attempt_outcome', 'attempt', ['outcome', 'started_at', 'id'], ''),
    ('ix_audit_event_subject', 'audit_event', ['subject_id', 'subject_kind', 'id'], ''),
    ('ix_audit_event_at', 'audit_event', ['at', 'id'], ''),
    ('ix_audit_event_actor', 'audit_event', ['actor', 'at', 'id'], "actor <> 'system'"),
    ('ix_audit_event_rare', 'audit_event', ['subject_kind', 'at', 'id'],
     "subject_kind <> 'lead' AND subject_kind <> 'delivery'"),
)
# What they replace.
OLD = (
    ('ix_lead_status', 'lead', ['status', 'received_at']),
    ('ix_lead_form_id', 'lead', ['form_id']),
    ('ix_audit_event_subject', 'audit_event', ['subject_kind', 'subject_id', 'id']),
    ('ix_audit_event_at', 'audit_event', ['at']),
)


def upgrade() -> None:
    for name, table, _ in OLD:
        op.drop_index(name, table_name=table)
    for name, table, columns, where in NEW:
        only = sa.text(where) if where else None
        op.create_index(name, table, columns, postgresql_where=only, sqlite_where=only)
    if op.get_bind().dialect.name == 'postgresql':
        op.create_index('ix_lead_words', 'lead', [sa.text(WORDS)], postgresql_using='gin')


def downgrade() -> None:
    if op.get_bind().dialect.name == 'postgresql':
        op.drop_index('ix_lead_words', table_name='lead')
    for name, table, _, _ in NEW:
        op.drop_index(name, table_name=table)
    for name, table, columns in OLD:
        op.create_index(name, table, columns)
