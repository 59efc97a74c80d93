"""Real servers for tests: MariaDB and Milvus standalone, each started once per run and only when a test asks for it.

A test takes `mariadb_url` (a database of its test module) and `milvus_uri`; names of Milvus collections must be unique to the test.
A test of outages takes `mariadb_server` or `milvus_server` and uses `stop`, `kill`, `start`, `down()` and `paused()`; after every test
the servers are up again.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest
import sqlalchemy as sa
from pymilvus import MilvusClient

from tests.ports import free_port, free_ports
from tests.skips import skip_or_fail

START_SECONDS = 120.0

MILVUS_TICKS = {
    "PROXY_TIMETICKINTERVAL": "50",
    "QUERYCOORD_CHECKCHANNELINTERVAL": "100",
    "QUERYCOORD_CHECKSEGMENTINTERVAL": "100",
    "QUERYCOORD_DISTPULLINTERVAL": "100",
    "INDEXCOORD_SCHEDULER_INTERVAL": "100",
}
"""Milliseconds between the looks that Milvus takes at what there is to do, a tenth to a quarter of what it is told elsewhere: tests mostly
wait for these.
"""


def bound(command: list[str], *identity: str) -> list[str]:
    """The command of a process that is killed when this one ends: Ctrl-C leaves pytest's workers no time to end their fixtures.

    identity: options of util-linux's setpriv that name another user. A process that changes its user itself is bound no longer.
    """
    return ["setpriv", *identity, "--pdeathsig=KILL", *command] if shutil.which("setpriv") else command


class Server:
    """A server process that tests may stop, kill, freeze and start again; its data and its port stay."""

    patience = 30.0  # seconds given to an orderly end

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "server.log"
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> tuple[list[str], dict[str, str]]:
        """The command line and its environment."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether the server does its work now."""
        raise NotImplementedError

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start, unless it runs; returns when it answers."""
        if self.running:
            return
        command, env = self.command()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=env, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait()

    def wait(self, seconds: float = START_SECONDS) -> None:
        """Return when the server answers."""
        end = time.monotonic() + seconds
        while not self.answers():
            if not self.running or time.monotonic() > end:
                tail = self.log.read_text(errors="replace")[-3000:]
                code = self.process.poll() if self.process else None
                self.kill()
                raise RuntimeError(f"{type(self).__name__} does not answer (exit code {code}):\n{tail}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Ask it to end, and wait; one that does not end in time is killed."""
        if self.process is None:
            return
        self.resume()
        self.process.terminate()
        try:
            self.process.wait(self.patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self.running:
            assert self.process is not None
            self.process.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def down(self, *, kill: bool = False) -> Iterator[None]:
        """Within it the server is away; after it, it answers again."""
        self.kill() if kill else self.stop()
        try:
            yield
        finally:
            self.start()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Within it the server is frozen; after it, it answers again."""
        self.pause()
        try:
            yield
        finally:
            self.resume()
            self.wait()

    def restore(self) -> None:
        """Up and answering, whatever a test did."""
        self.resume()
        self.start()
        self.wait()


MYSQL_REFUSES = (
    (r"\bRETURNING\b", "has no RETURNING"),
    (r"^CREATE OR REPLACE\b", "has no OR REPLACE for tables"),
    (r"^(ALTER TABLE|CREATE (UNIQUE )?INDEX|DROP INDEX)\b.*\bIF (NOT )?EXISTS\b", "knows IF EXISTS of whole tables only"),
    (r"^UPDATE (\S+) .*\b(?:FROM|JOIN) \1(?!\w)", "does not read in a subquery what it updates"),
    (r"^DELETE FROM (\S+) .*\b(?:FROM|JOIN) \1(?!\w)", "does not read in a subquery what it deletes from"),
)
"""What MariaDB takes and MySQL 8 does not, as far as it could come up here."""


@functools.cache
def mysql_refuses(statement: str) -> str | None:
    """Why MySQL 8 would not take a statement that MariaDB takes; None when it would."""
    text = " ".join(statement.split())
    return next((f"MySQL 8 {why}: {text}" for pattern, why in MYSQL_REFUSES if re.search(pattern, text, re.IGNORECASE)), None)


@pytest.fixture(scope="session")
def statements() -> Iterator[set[str]]:
    """Every statement that the program has sent to MariaDB in this run, but for those of Alembic, which asks the server what it can."""
    seen: set[str] = set()

    def note(connection: sa.Connection, cursor: object, statement: str, *rest: object) -> None:
        if connection.dialect.name != "sqlite" and "alembic_version" not in statement:
            seen.add(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(sa.Engine, "before_cursor_execute", note)


class MariaDB(Server):
    """MariaDB on a free port of 127.0.0.1, user root without a password."""

    def __init__(self, folder: Path, mariadbd: str) -> None:
        super().__init__(folder)
        self.mariadbd = mariadbd
        self.data = folder / "data"
        self.port = free_port()

    @property
    def as_user(self) -> list[str]:
        """The server refuses to run as root: there it gives up its rights for those of mysql."""
        return ["--user=mysql"] if os.geteuid() == 0 else []

    def install(self) -> None:
        """Create the system tables."""
        options = [
            "--no-defaults",
            *self.as_user,
            f"--datadir={self.data}",
            f"--tmpdir={self.data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]
        tool = shutil.which("mariadb-install-db") or str(Path(self.mariadbd).with_name("mariadb-install-db"))
        for _ in range(2):  # on a busy machine it fails now and then
            self.data.mkdir()
            if self.as_user:
                user = pwd.getpwnam("mysql")
                os.chown(self.data, user.pw_uid, user.pw_gid)
            done = subprocess.run(
                [tool, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.folder, check=False
            )
            if done.returncode == 0:
                return
            shutil.rmtree(self.data)
        raise RuntimeError(f"MariaDB cannot be installed: {done.stdout}")

    def command(self) -> tuple[list[str], dict[str, str]]:
        # The socket lies beside the data: a path under a test's own folder may be too long for a socket.
        files = [f"--datadir={self.data}", f"--tmpdir={self.data}", f"--socket={self.data / 's'}", f"--pid-file={self.data / 'pid'}"]
        network = [f"--port={self.port}", "--bind-address=127.0.0.1", "--skip-name-resolve"]
        small = ["--skip-log-bin", "--innodb-buffer-pool-size=64M", "--performance-schema=OFF"]
        # Processes are killed here, machines are not: what the system was given is safe without waiting for the disk.
        quick = ["--innodb-flush-log-at-trx-commit=2", "--innodb-flush-method=nosync", "--sync-frm=0"]
        command = [self.mariadbd, "--no-defaults", *self.as_user, *files, *network, *small, *quick]
        identity = ["--reuid=mysql", "--regid=mysql", "--init-groups"] if self.as_user else []
        return bound(command, *identity), dict(os.environ)

    def connect(self) -> pymysql.connections.Connection[pymysql.cursors.Cursor]:
        return pymysql.connect(host="127.0.0.1", port=self.port, user="root", connect_timeout=5, read_timeout=30)

    def answers(self) -> bool:
        try:
            self.connect().close()
        except pymysql.MySQLError:
            return False
        return True

    def execute(self, statement: str) -> None:
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement)

    def url(self, database: str) -> str:
        """SQLAlchemy URL of one of its databases."""
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/{database}?charset=utf8mb4"


class Milvus(Server):
    """Milvus standalone, the binary that PyPI's `milvus` carries, on free ports.

    binaries: folder where the package's compressed binaries are unpacked once, for all runs.
    """

    patience = 3.0  # alone, it waits half an hour for other nodes to take its work over

    def __init__(self, folder: Path, binaries: Path) -> None:
        super().__init__(folder)
        import milvus

        binaries.mkdir(parents=True, exist_ok=True)
        with (binaries / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            milvus._initialize_data_files(str(binaries))
        self.bin = binaries / "bin"
        config = milvus.MilvusServerConfig(data_dir=str(folder))
        names = [name for name in config.configurable_items if name.endswith("_port")]
        *ports, self.health_port, peers = free_ports(len(names) + 2)
        self.port = dict(zip(names, ports, strict=True))["proxy_port"]
        config.update(**dict(zip(names, ports, strict=True)))
        # Its parts talk to each other by this address, by default one of the machine's own on its network.
        for part in ("rootCoord", "proxy", "queryCoord", "queryNode", "indexCoord", "indexNode", "dataCoord", "dataNode"):
            config.set(f"{part}.ip", "127.0.0.1")
        # After a kill the next start waits until the dead one's session is over.
        config.set("common.session.ttl", 5)
        config.set("log.level", "warn")
        config.resolve()
        config.cleanup_listen_ports()
        config.write_config()
        # Its etcd would listen for peers, which it has not, on a port that a second Milvus needs, too.
        clients, peers_url = f"http://127.0.0.1:{config.get('etcd_port')}", f"http://127.0.0.1:{peers}"
        self.etcd = folder / "configs" / "etcd.yaml"
        self.etcd.write_text(
            f"listen-client-urls: {clients}\nadvertise-client-urls: {clients}\nlisten-peer-urls: {peers_url}\n"
            f"initial-advertise-peer-urls: {peers_url}\ninitial-cluster: default={peers_url}\n"
            "unsafe-no-fsync: true\n"  # as with MariaDB
        )

    def command(self) -> tuple[list[str], dict[str, str]]:
        env = (
            os.environ
            | MILVUS_TICKS
            | {
                "DEPLOY_MODE": "STANDALONE",
                "ETCD_CONFIG_PATH": str(self.etcd),
                "METRICS_PORT": str(self.health_port),
                "MILVUS_RUN_DIR": str(self.folder / "run"),
                "MILVUSCONF": str(self.folder / "configs"),
                "LD_LIBRARY_PATH": f"{self.bin}{os.pathsep}{os.environ.get('LD_LIBRARY_PATH', '')}",
            }
        )
        return bound([str(self.bin / "milvus"), "run", "standalone"]), env

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}/healthz", timeout=5) as answer:
                if b"OK" not in answer.read():
                    return False
            # Its health page says OK a moment before it takes requests.
            client = MilvusClient(uri=self.uri, timeout=5)
            client.list_collections(timeout=5)
            client.close()
        except Exception:
            return False
        return True

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="session")
def mariadb_session() -> Iterator[MariaDB]:
    """Internal: use `mariadb_server` or `mariadb_url`."""
    mariadbd = shutil.which("mariadbd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
    if mariadbd is None:
        skip_or_fail("MariaDB is not installed (Debian, Ubuntu: apt-get install mariadb-server)")
        raise AssertionError
    # pytest's own folders are closed to other users, and as root the server runs as the user mysql.
    with tempfile.TemporaryDirectory(prefix="tsir-mariadb-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = MariaDB(folder, mariadbd)
        server.install()
        try:
            server.start()
            yield server
        finally:
            server.kill()  # its data go with it


@pytest.fixture
def mariadb_server(mariadb_session: MariaDB) -> Iterator[MariaDB]:
    """The MariaDB of this run; a test may stop, kill or freeze it."""
    yield mariadb_session
    mariadb_session.restore()


@pytest.fixture(scope="session")
def databases() -> list[str]:
    """Databases that have the tables of this version and nothing in them: making those takes MariaDB longer than most tests."""
    return []


@pytest.fixture(scope="module")
def mariadb_url(mariadb_session: MariaDB, statements: set[str], request: pytest.FixtureRequest) -> Iterator[str]:
    """SQLAlchemy URL of an empty database, new for the test module. What the module sends to it must be such as MySQL 8 takes, too."""
    mariadb_session.restore()
    database = request.module.__name__.replace(".", "_")[-50:]
    mariadb_session.execute(f"CREATE OR REPLACE DATABASE `{database}` CHARACTER SET utf8mb4")
    yield mariadb_session.url(database)
    mariadb_session.execute(f"DROP DATABASE `{database}`")
    assert not (refused := [why for statement in statements if (why := mysql_refuses(statement))]), refused


@pytest.fixture(scope="session")
def milvus_session(request: pytest.FixtureRequest) -> Iterator[Milvus]:
    """Internal: use `milvus_server` or `milvus_uri`."""
    try:
        import milvus
    except ImportError:
        skip_or_fail("Milvus standalone is not installed (pip install milvus==2.3.5; Linux on x86_64 only)")
    binaries = Path(request.config.cache.mkdir("milvus")) / milvus.__version__
    with tempfile.TemporaryDirectory(prefix="tsir-milvus-") as folder:
        server = Milvus(Path(folder), binaries)
        try:
            server.start()
            yield server
        finally:
            server.kill()  # its data go with it


@pytest.fixture
def milvus_server(milvus_session: Milvus) -> Iterator[Milvus]:
    """The Milvus of this run; a test may stop, kill or freeze it."""
    yield milvus_session
    milvus_session.restore()


@pytest.fixture(scope="module")
def milvus_uri(milvus_session: Milvus) -> str:
    """Address of Milvus standalone. Collections of other tests are there too: use names of your own."""
    milvus_session.restore()
    return milvus_session.uri
