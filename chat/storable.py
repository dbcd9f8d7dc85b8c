"""Text that every database and every browser can hold."""

from __future__ import annotations

import re

# PostgreSQL refuses NUL; UTF-8 refuses a lone half of a surrogate pair.
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """Return the text with NUL and lone surrogates replaced by U+FFFD, the same length in code points."""
    return _UNSTORABLE.sub("\ufffd", text)
