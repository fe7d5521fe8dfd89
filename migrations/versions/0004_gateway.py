"""the gateway: senders, rules and mapping with versions, duplicates by person, replays

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op
from leadapp.clock import UtcDateTime
from leadapp.columns import Enumerated, Json, SealedText
from leadapp.deliveries.models import ReplayState
from leadapp.leads.models import MappingSource

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'rules_version',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('form_id', sa.Integer(), nullable=False),
        sa.Column('number', sa.Integer(), nullable=False),
        sa.Column('rules', sa.Text(), nullable=False),
        sa.Column('mapping_source', Enumerated(MappingSource), nullable=False),
        sa.Column('mapping', sa.Text(), nullable=False),
        sa.Column('note', sa.String(length=200), nullable=False),
        sa.Column('made_by', sa.String(length=255), nullable=False),
        sa.Column('made_at', UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(['form_id'], ['form.id'], ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id'),
        sa.UniqueConstraint('form_id', 'number'),
    )
    op.create_table(
        'mapping_copy',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('digest', sa.String(length=64), nullable=False),
        sa.Column('text', sa.Text(), nullable=False),
        sa.Column('seen_at', UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint('id'),
        sa.UniqueConstraint('digest'),
    )
    op.create_table(
        'replay',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('destination_id', sa.Integer(), nullable=True),
        sa.Column('is_anew', sa.Boolean(), nullable=False),
        sa.Column('selection', Json, nullable=False),
        sa.Column('per_minute', sa.Integer(), nullable=False),
        sa.Column('state', Enumerated(ReplayState), nullable=False),
        sa.Column('total', sa.Integer(), nullable=False),
        sa.Column('skipped', sa.Integer(), nullable=False),
        sa.Column('asked_by', sa.String(length=255), nullable=False),
        sa.Column('asked_at', UtcDateTime(), nullable=False),
        sa.Column('released_at', UtcDateTime(), nullable=True),
        sa.Column('finished_at', UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(['destination_id'], ['destination.id']),
        sa.PrimaryKeyConstraint('id'),
    )
    op.create_index('ix_replay_state', 'replay', ['state'])
    with op.batch_alter_table('form', schema=None) as batch_op:
        batch_op.add_column(sa.Column('pinned_fields', Json, nullable=False, server_default='{}'))
        batch_op.add_column(sa.Column('country', sa.String(length=2), nullable=False, server_default=''))
        batch_op.add_column(sa.Column('sender', sa.String(length=30), nullable=False, server_default=''))
        batch_op.add_column(sa.Column('secret', SealedText(), nullable=True))
        batch_op.add_column(sa.Column('tells_rejected', sa.Boolean(), nullable=False, server_default=sa.true()))
        batch_op.add_column(sa.Column('person_keys', Json, nullable=False, server_default='["email"]'))
    with op.batch_alter_table('lead', schema=None) as batch_op:
        batch_op.add_column(sa.Column('same_person_as_id', sa.Uuid(), nullable=True))
        batch_op.add_column(sa.Column('person_hash', sa.String(length=64), nullable=False, server_default=''))
        batch_op.add_column(sa.Column('sender', sa.String(length=30), nullable=False, server_default=''))
        batch_op.add_column(sa.Column('external_id', sa.String(length=200), nullable=False, server_default=''))
        batch_op.add_column(sa.Column('rules_version', sa.String(length=80), nullable=False, server_default=''))
        batch_op.create_foreign_key('lead_same_person_as_id_fkey', 'lead', ['same_person_as_id'], ['id'])
    with op.batch_alter_table('delivery', schema=None) as batch_op:
        batch_op.add_column(sa.Column('mapping_version', sa.String(length=80), nullable=False, server_default=''))
        batch_op.add_column(sa.Column('left_out', Json, nullable=False, server_default='[]'))
        batch_op.add_column(sa.Column('replay_id', sa.Integer(), nullable=True))
        batch_op.create_foreign_key('delivery_replay_id_fkey', 'replay', ['replay_id'], ['id'])
    person = sa.text("person_hash <> ''")
    op.create_index('ix_lead_person', 'lead', ['form_id', 'person_hash', 'received_at'],
                    postgresql_where=person, sqlite_where=person)
    replayed = sa.text('replay_id IS NOT NULL')
    op.create_index('ix_delivery_replay', 'delivery', ['replay_id', 'state'],
                    postgresql_where=replayed, sqlite_where=replayed)


def downgrade() -> None:
    op.drop_index('ix_delivery_replay', table_name='delivery')
    op.drop_index('ix_lead_person', table_name='lead')
    with op.batch_alter_table('delivery', schema=None) as batch_op:
        batch_op.drop_constraint('delivery_replay_id_fkey', type_='foreignkey')
        for name in ('replay_id', 'left_out', 'mapping_version'):
            batch_op.drop_column(name)
    with op.batch_alter_table('lead', schema=None) as batch_op:
        batch_op.drop_constraint('lead_same_person_as_id_fkey', type_='foreignkey')
        for name in ('rules_version', 'external_id', 'sender', 'person_hash', 'same_person_as_id'):
            batch_op.drop_column(name)
    with op.batch_alter_table('form', schema=None) as batch_op:
        for name in ('person_keys', 'tells_rejected', 'secret', 'sender', 'country', 'pinned_fields'):
            batch_op.drop_column(name)
    op.drop_index('ix_replay_state', table_name='replay')
    op.drop_table('replay')
    op.drop_table('mapping_copy')
    op.drop_table('rules_version')
