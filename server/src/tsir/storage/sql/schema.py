"""The tables. Changes go into migrations/; a test compares the two. What the fields mean: see records.py."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

HEAD = "0004"
"""The newest schema revision: a catalog that has it opens without loading Alembic."""

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
_LONG = sa.Text().with_variant(mysql.MEDIUMTEXT, "mysql")
_OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "sqlite_autoincrement": True,
}

metadata = sa.MetaData()

library = sa.Table(
    "library",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("tag", sa.String(16), nullable=False),
    sa.Column("created_at", _TIME, nullable=False),
    **{**_OPTIONS, "sqlite_autoincrement": False},
)
collections = sa.Table(
    "collections",
    metadata,
    sa.Column("id", _KEY, primary_key=True, autoincrement=True),
    sa.Column("name", sa.String(64), nullable=False, unique=True),
    sa.Column("state", sa.String(16), nullable=False),  # ready, dropping, restoring
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
    sa.Column("created_at", _TIME, nullable=False),
    **_OPTIONS,
)
images = sa.Table(
    "images",
    metadata,
    sa.Column("id", _KEY, primary_key=True, autoincrement=True),
    sa.Column("collection_id", _KEY, sa.ForeignKey("collections.id", name="fk_images_collection"), nullable=False),
    sa.Column("content_hash", sa.String(64), nullable=False),
    sa.Column("state", sa.String(8), nullable=False),  # pending, ready, deleting, leaving, excluded
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("format", sa.String(32), nullable=False),
    sa.Column("taken_at", _TIME),  # by the camera's clock
    sa.Column("taken_offset", sa.SmallInteger),  # minutes that it is ahead of UTC, where the camera noted that
    sa.Column("camera", sa.String(255)),
    sa.Column("latitude", sa.Double),
    sa.Column("longitude", sa.Double),
    sa.Column("created_at", _TIME, nullable=False),
    sa.Column("stale", sa.Boolean, nullable=False),  # its places changed since its vector was written: the folder filter is behind
    sa.Column("next_generation", sa.Integer),  # the generation in the making that already has its vector
    sa.Column("missing", sa.Boolean, nullable=False, server_default=sa.text("0")),  # none of its files is there now
    sa.Column("name", sa.String(255), nullable=False, server_default=""),  # of its first place, as `values.sortable` has it
    sa.UniqueConstraint("collection_id", "content_hash", name="uq_images_content"),
    sa.Index("ix_images_state", "collection_id", "state", "id"),
    sa.Index("ix_images_hash", "content_hash"),
    sa.Index("ix_images_missing", "collection_id", "missing", "state"),
    sa.Index("ix_images_taken", "collection_id", "state", "taken_at", "id"),
    sa.Index("ix_images_name", "collection_id", "state", "name", "id"),
    **_OPTIONS,
)
locations = sa.Table(
    "locations",
    metadata,
    sa.Column("id", _KEY, primary_key=True, autoincrement=True),
    sa.Column("image_id", _KEY, sa.ForeignKey("images.id", name="fk_locations_image"), nullable=False),
    sa.Column("collection_id", _KEY, nullable=False),
    sa.Column("path", sa.Text, nullable=False),  # absolute, or of an upload as `values.UploadPaths` has it
    sa.Column("path_hash", sa.String(64), nullable=False),  # MySQL cannot index a whole path
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("mtime_ns", sa.BigInteger, nullable=False),
    sa.Column("name", sa.String(255), nullable=False, server_default=""),  # its last part, as `values.sortable` has it
    sa.Column("missing_since", _TIME),  # when its file was found to be gone
    sa.UniqueConstraint("collection_id", "path_hash", name="uq_locations_path"),
    sa.Index("ix_locations_image", "image_id", "id"),
    sa.Index("ix_locations_path", "path_hash"),
    sa.Index("ix_locations_sweep", "collection_id", "id"),
    **_OPTIONS,
)
jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", _KEY, primary_key=True, autoincrement=True),
    sa.Column("collection", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("spec", _LONG, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("cancelling", sa.Boolean, nullable=False),
    sa.Column("total", sa.BigInteger),
    sa.Column("done", sa.BigInteger, nullable=False),
    sa.Column("skipped", sa.BigInteger, nullable=False),
    sa.Column("failed", sa.BigInteger, nullable=False),
    sa.Column("rate", sa.Double, nullable=False),
    sa.Column("message", sa.Text),
    sa.Column("worker", sa.String(255)),
    sa.Column("heartbeat", _TIME),
    sa.Column("created_at", _TIME, nullable=False),
    sa.Column("started_at", _TIME),
    sa.Column("finished_at", _TIME),
    sa.Index("ix_jobs_state", "state", "id"),
    **_OPTIONS,
)
job_failures = sa.Table(
    "job_failures",
    metadata,
    sa.Column("id", _KEY, primary_key=True, autoincrement=True),
    sa.Column("job_id", _KEY, sa.ForeignKey("jobs.id", name="fk_failures_job"), nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("path_hash", sa.String(64), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.UniqueConstraint("job_id", "path_hash", name="uq_failures_path"),
    **_OPTIONS,
)
