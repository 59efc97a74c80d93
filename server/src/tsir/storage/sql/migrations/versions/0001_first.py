"""Collections, images, their places, jobs.

Tables are created unless they exist: MySQL commits each statement by itself, so a crash half-way is mended by running it again.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
LONG = sa.Text().with_variant(mysql.MEDIUMTEXT, "mysql")
OPTIONS = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "sqlite_autoincrement": True}


def upgrade() -> None:
    op.create_table(
        "library",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("tag", sa.String(16), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        if_not_exists=True,
        **{**OPTIONS, "sqlite_autoincrement": False},
    )
    op.create_table(
        "collections",
        sa.Column("id", KEY, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(64), nullable=False, unique=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("encoder_name", sa.String(255), nullable=False),
        sa.Column("encoder_fingerprint", sa.String(128), nullable=False),
        sa.Column("dim", sa.Integer, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("vector_index", sa.String(16), nullable=False),
        sa.Column("last_generation", sa.Integer, nullable=False),
        sa.Column("next_generation", sa.Integer),
        sa.Column("next_encoder_name", sa.String(255)),
        sa.Column("next_encoder_fingerprint", sa.String(128)),
        sa.Column("next_dim", sa.Integer),
        sa.Column("created_at", TIME, nullable=False),
        if_not_exists=True,
        **OPTIONS,
    )
    op.create_table(
        "images",
        sa.Column("id", KEY, primary_key=True, autoincrement=True),
        sa.Column("collection_id", KEY, sa.ForeignKey("collections.id", name="fk_images_collection"), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("format", sa.String(32), nullable=False),
        sa.Column("taken_at", TIME),
        sa.Column("camera", sa.String(255)),
        sa.Column("latitude", sa.Double),
        sa.Column("longitude", sa.Double),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("stale", sa.Boolean, nullable=False),
        sa.Column("next_generation", sa.Integer),
        sa.UniqueConstraint("collection_id", "content_hash", name="uq_images_content"),
        sa.Index("ix_images_state", "collection_id", "state", "id"),
        sa.Index("ix_images_hash", "content_hash"),
        if_not_exists=True,
        **OPTIONS,
    )
    op.create_table(
        "locations",
        sa.Column("id", KEY, primary_key=True, autoincrement=True),
        sa.Column("image_id", KEY, sa.ForeignKey("images.id", name="fk_locations_image"), nullable=False),
        sa.Column("collection_id", KEY, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("path_hash", sa.String(64), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("collection_id", "path_hash", name="uq_locations_path"),
        sa.Index("ix_locations_image", "image_id", "id"),
        sa.Index("ix_locations_path", "path_hash"),
        sa.Index("ix_locations_sweep", "collection_id", "id"),
        if_not_exists=True,
        **OPTIONS,
    )
    op.create_table(
        "jobs",
        sa.Column("id", KEY, primary_key=True, autoincrement=True),
        sa.Column("collection", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("spec", LONG, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("cancelling", sa.Boolean, nullable=False),
        sa.Column("total", sa.BigInteger),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("skipped", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("rate", sa.Double, nullable=False),
        sa.Column("message", sa.Text),
        sa.Column("worker", sa.String(255)),
        sa.Column("heartbeat", TIME),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME),
        sa.Column("finished_at", TIME),
        sa.Index("ix_jobs_state", "state", "id"),
        if_not_exists=True,
        **OPTIONS,
    )
    op.create_table(
        "job_failures",
        sa.Column("id", KEY, primary_key=True, autoincrement=True),
        sa.Column("job_id", KEY, sa.ForeignKey("jobs.id", name="fk_failures_job"), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("path_hash", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.UniqueConstraint("job_id", "path_hash", name="uq_failures_path"),
        if_not_exists=True,
        **OPTIONS,
    )
