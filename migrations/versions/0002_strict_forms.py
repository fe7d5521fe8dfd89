"""strict forms, and the addresses that a post may ask copies for

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from leadapp.columns import Json

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('form', schema=None) as batch_op:
        batch_op.add_column(sa.Column('is_strict', sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column('required_fields', Json, nullable=False, server_default='[]'))
        batch_op.add_column(sa.Column('cc_allowed', Json, nullable=False, server_default='[]'))


def downgrade() -> None:
    with op.batch_alter_table('form', schema=None) as batch_op:
        batch_op.drop_column('cc_allowed')
        batch_op.drop_column('required_fields')
        batch_op.drop_column('is_strict')
