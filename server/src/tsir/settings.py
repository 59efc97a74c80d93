"""Every setting, once: name, type, default, meaning.

Values come from the environment, a `.env` file in the working directory, or command-line flags, in rising order of `.env`,
environment, flags. The names of the reference implementation (`MILVUS_HOST`, `MYSQL_*`, `DEFAULT_TABLE`, `TOP_K`, `UPLOAD_PATH`, ...)
keep working.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote_plus

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tsir.errors import InvalidInput
from tsir.patience import Silent, answered

PREFIX = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
"""A path under which a proxy shows the whole, such as /photos: nothing that means more than itself in a page, a header or nginx."""


@dataclass(frozen=True)
class ApiKey:
    """A key as a running server remembers it."""

    digest: bytes
    """SHA-256 of the key."""
    writes: bool
    """Whether it may change anything, too."""

    @classmethod
    def parse(cls, entry: str) -> ApiKey:
        """`KEY`, `read:KEY` or `write:KEY`, each also with `sha256:HEX` for KEY. Raises ValueError, which does not repeat the entry."""
        scope, _, rest = entry.partition(":")
        key = rest.strip() if scope in ("read", "write") else entry
        if not key:
            raise ValueError(f"has an entry {scope + ':'!r} without a key: write {scope}:KEY")
        if not key.startswith("sha256:"):
            return cls(hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest(), scope != "read")
        if not re.fullmatch("sha256:[0-9A-Fa-f]{64}", key):
            raise ValueError(
                "has an entry sha256:... that is no SHA-256: 64 hex digits are needed, as `printf %s KEY | sha256sum` prints them"
            )
        return cls(bytes.fromhex(key.removeprefix("sha256:")), scope != "read")


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reachable from this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Settings(BaseSettings):
    """All settings of server and command line. Read once at start, then passed along."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", populate_by_name=True, hide_input_in_errors=True)

    # Where things lie
    data_dir: Path = Field(Path("data"), description="Catalog, vectors, uploads, thumbnails and caches. A fresh folder is a fresh library.")
    upload_path: Path | None = Field(None, description="Uploaded pictures. Default: DATA_DIR/uploads.")
    image_roots: str = Field("", description="Server folders that may be imported, separated like PATH, or as a JSON list. Empty: none.")
    exclude: str = Field(
        "", description="Patterns of files and folders that imports leave out, as .gitignore has them, separated by commas."
    )

    # HTTP
    host: str = Field("127.0.0.1", description="Address the API and GUI listen on.")
    port: int = Field(5000, ge=0, le=65535, description="Port of the API.")
    client_port: int = Field(3000, ge=0, le=65535, description="Port of the GUI.")
    api_keys: SecretStr | None = Field(
        None,
        description="Comma-separated keys; when set, every request needs one. KEY and write:KEY may do everything, read:KEY may look and "
        "search. Instead of a key, sha256:HEX.",
    )
    allow_open: bool = Field(False, description="Start without keys although others reach this server: everyone may change everything.")
    publish: str | None = Field(
        None, description="Where a container's GUI is published, if not at HOST: 127.0.0.1 means that this machine alone reaches it."
    )
    root_path: str = Field("", description="Path under which a proxy shows the whole, such as /photos. X-Forwarded-Prefix says it, too.")
    cors_origins: str = Field("", description="Comma-separated origins that may call the API from a browser. Default: the GUI's own.")

    # Model
    model: str = Field("lite", description="Encoder, such as lite, task-former or open_clip:ARCH/TAG.")
    weights: str | None = Field(None, description="Local path or URL of the weights, instead of the encoder's own.")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N.")
    runtime: Literal["auto", "torch", "openvino"] = Field("auto", description="What runs the graph of a torch model on a CPU.")
    precision: Literal["auto", "fp32", "fp16", "bf16", "int8"] = Field("auto", description="Arithmetic of the graph.")
    torch_compile: bool = Field(False, description="Compile the graph on a GPU: a slower start, faster imports.")
    sketch_fit: Literal["pad", "crop"] = Field(
        "pad", description="How task-former and open_clip see a sketch that is not square: padded with white, or cut as the paper does."
    )
    missing_part: Literal["alone", "blank"] = Field(
        "alone", description="task-former: search with text or sketch alone, or fused with the blank sketch or empty text."
    )
    batch_size: int = Field(32, ge=1, le=1024, description="Pictures per encoder call while importing.")
    num_workers: int = Field(
        default_factory=lambda: min(8, os.cpu_count() or 2), ge=1, le=64, description="Decode threads while importing."
    )

    # Stores
    default_table: str = Field("tsir", description="Collection used when a request names none.")
    milvus_uri: str | None = Field(None, description="Milvus server (http://host:19530). Default: Milvus Lite in DATA_DIR/vectors.db.")
    milvus_token: SecretStr | None = Field(None, description="user:password or API key of the Milvus server.")
    milvus_host: str | None = Field(None, description="Reference name: host of Milvus, with MILVUS_PORT.")
    milvus_port: int = Field(19530, ge=1, le=65535, description="Reference name: port of Milvus.")
    vector_index: Literal["auto", "FLAT", "HNSW", "IVF_FLAT", "IVF_SQ8", "DISKANN"] = Field(
        "auto", description="Milvus index; auto picks by size."
    )
    database_url: SecretStr | None = Field(None, description="SQLAlchemy URL of the catalog. Default: SQLite in DATA_DIR/catalog.db.")
    mysql_host: str | None = Field(None, description="Reference name: host of MySQL, with MYSQL_PORT, MYSQL_USER, MYSQL_PWD, MYSQL_DB.")
    mysql_port: int = Field(3306, ge=1, le=65535, description="Reference name.")
    mysql_user: str = Field("root", description="Reference name.")
    mysql_pwd: SecretStr | None = Field(None, description="Reference name.", validation_alias=AliasChoices("mysql_pwd", "mysql_password"))
    mysql_db: str = Field("tsir", description="Reference name.")

    # Limits
    top_k: int = Field(20, ge=1, le=1000, description="Hits when a request names no number.")
    max_upload_bytes: int = Field(64 * 2**20, ge=1, description="Largest single picture, uploaded, fetched or imported.")
    max_request_bytes: int = Field(2 * 2**30, ge=1, description="Largest request body (zips, many files).")
    max_pixels: int = Field(200_000_000, ge=1, description="Largest picture, width x height.")
    max_text: int = Field(2000, ge=1, description="Longest query text, characters.")
    thumbnail_bytes: int = Field(5 * 2**30, ge=0, description="Bound of the thumbnail cache on disk.")
    forget_after_days: int | None = Field(
        None, ge=1, description="Days after which pictures whose files are missing are taken out of the library. Default: never."
    )
    trash_days: int = Field(30, ge=0, description="Days that uploads which were taken out stay in DATA_DIR/trash before they are gone.")
    catalog_backups: int = Field(
        7, ge=0, description="Days of which a copy of the SQLite catalog is kept in DATA_DIR/backups. 0: none is made."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="What is logged.")
    log_format: Literal["text", "json"] = Field("text", description="json: an object on each line, for programs that collect logs.")

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("log_format", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("allow_open", mode="before")
    @classmethod
    def _empty_is_no(cls, value: object) -> object:
        return False if value == "" else value

    @field_validator("api_keys")
    @classmethod
    def _readable_keys(cls, value: SecretStr | None) -> SecretStr | None:
        for entry in _entries(value):
            ApiKey.parse(entry)
        return value

    @field_validator("image_roots")
    @classmethod
    def _readable_roots(cls, value: str) -> str:
        try:
            folders(value)
        except (ValueError, TypeError):
            raise ValueError('must be folders separated like PATH, or a JSON list of them such as ["/photos", "/a:b"]') from None
        return value

    @field_validator("root_path")
    @classmethod
    def _prefix(cls, value: str) -> str:
        path = value.strip().strip("/")
        if path and not PREFIX.fullmatch(f"/{path}"):
            raise ValueError("must be a path such as /photos: letters, digits, '-', '.', '_' and '~' between slashes")
        return f"/{path}" if path else ""

    @field_validator(
        "publish",
        "api_keys",
        "milvus_uri",
        "milvus_host",
        "milvus_token",
        "database_url",
        "mysql_host",
        "upload_path",
        "weights",
        "forget_after_days",
        mode="before",
    )
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        """Compose files pass unset variables on as empty strings."""
        return None if value == "" else value

    @property
    def uploads(self) -> Path:
        """Folder of uploaded pictures."""
        return (self.upload_path or self.data_dir / "uploads").expanduser().resolve()

    @property
    def roots(self) -> tuple[Path, ...]:
        """The allowed import folders, resolved."""
        return tuple(_resolved(Path(part).expanduser()) for part in folders(self.image_roots))

    @property
    def exclusions(self) -> tuple[str, ...]:
        """The patterns of EXCLUDE."""
        return tuple(part.strip() for part in self.exclude.split(",") if part.strip())

    @property
    def keys(self) -> tuple[str, ...]:
        """The entries of API_KEYS; empty means open."""
        return _entries(self.api_keys)

    @property
    def local(self) -> bool:
        """Whether this machine alone reaches the server."""
        return is_loopback(self.publish or self.host)

    @property
    def vectors_uri(self) -> str:
        """Where Milvus is: a server's address, or the path of the embedded database."""
        if self.milvus_uri:
            return self.milvus_uri
        if self.milvus_host:
            return f"http://{self.milvus_host}:{self.milvus_port}"
        return str(self.data_dir.expanduser().resolve() / "vectors.db")

    @property
    def vectors_embedded(self) -> bool:
        """True for Milvus Lite: one process, one laptop."""
        return "://" not in self.vectors_uri

    @property
    def catalog_url(self) -> str:
        """SQLAlchemy URL of the catalog."""
        if self.database_url:
            return self.database_url.get_secret_value()
        if self.mysql_host:
            password = self.mysql_pwd.get_secret_value() if self.mysql_pwd else ""
            user = quote_plus(self.mysql_user) + (f":{quote_plus(password)}" if password else "")
            return f"mysql+pymysql://{user}@{self.mysql_host}:{self.mysql_port}/{self.mysql_db}?charset=utf8mb4"
        return f"sqlite:///{self.data_dir.expanduser().resolve() / 'catalog.db'}"

    @property
    def server_note(self) -> Path:
        """Where a running server that holds `data_dir` notes its address, and a token that only its user can read."""
        return self.data_dir.expanduser().resolve() / "server.json"

    def announced_url(self) -> str | None:
        """The address of the server that says it holds `data_dir`; it may have died meanwhile."""
        try:
            return str(json.loads(self.server_note.read_text())["url"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def folders(text: str) -> list[str]:
    """The folders of a list like IMAGE_ROOTS: separated like PATH, where a name with a separator in it counts as one if there is such a
    folder, and a single letter before a slash as a drive; or as a JSON list, which is never ambiguous.

    Raises ValueError for what begins like a JSON list and is none.
    """
    if text.lstrip().startswith("["):
        found = json.loads(text)
        if not all(isinstance(one, str) for one in found):
            raise ValueError("must be a list of folders")
        return [one for one in found if one.strip()]
    parts = text.split(os.pathsep)
    found = []
    while parts:
        lengths = range(len(parts), 1, -1)
        # Relative names would be looked for in the working directory: whatever lies there, they end at the separator.
        count = next((n for n in lengths if parts[0][:1] in ("/", "~") and _is_folder(os.pathsep.join(parts[:n]))), 1)
        if count == 1 and len(parts) > 1 and re.fullmatch(r"\s*[A-Za-z]", parts[0]) and parts[1][:1] in ("/", "\\"):
            count = 2
        found.append(os.pathsep.join(parts[:count]))
        parts = parts[count:]
    return [one for one in found if one.strip()]


def _is_folder(path: str) -> bool:
    return os.path.isdir(os.path.expanduser(path))  # noqa: PTH111, PTH112 - False also for what no path can be


def _entries(keys: SecretStr | None) -> tuple[str, ...]:
    text = keys.get_secret_value() if keys else ""
    return tuple(key.strip() for key in text.split(",") if key.strip())


def configured(**given: Any) -> Settings:
    """Settings from .env, environment and, above both, what is given; None is not. Raises InvalidInput naming a bad one."""
    if unknown := sorted(set(given) - set(Settings.model_fields)):
        raise InvalidInput(f"There is no setting {unknown[0]!r}.")
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, item['loc'])).upper()} {_said(item['msg'])}" for item in error.errors()]
        raise InvalidInput(f"Settings cannot be used: {'; '.join(wrong)}.") from error


def _said(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _resolved(folder: Path) -> Path:
    """Without links, where the file system answers."""
    try:
        return answered(folder, folder.resolve)
    except Silent:
        return folder.absolute()
