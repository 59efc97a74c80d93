"""A capture time keeps the offset from UTC that the camera noted. Of pictures that are there already it is not known."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    if "taken_offset" not in {column["name"] for column in sa.inspect(op.get_bind()).get_columns("images")}:
        op.add_column("images", sa.Column("taken_offset", sa.SmallInteger))
