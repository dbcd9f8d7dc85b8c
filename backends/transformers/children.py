"""How programs of ours are started as processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_ROOT = str(Path(__file__).parents[2])
_SECRET_WORDS = ("KEY", "SECRET", "TOKEN", "PASSWORD")


def program(module: str, *arguments: str) -> list[str]:
    """Return the command that runs one of our modules; nothing else is imported from the current folder (-P)."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """Return our environment without its secrets, in which our modules are found whatever the current folder is."""
    path = os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH", "")]))
    return {**{name: value for name, value in os.environ.items() if not _is_secret(name)}, "PYTHONPATH": path}


def _is_secret(name: str) -> bool:
    upper = name.upper()
    return upper.endswith("_URL") or any(word in upper for word in _SECRET_WORDS)
