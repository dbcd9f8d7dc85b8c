"""Secrets in settings are not shown, whatever they are called and however deep they lie.

A value is hidden for its name (``api_key``, ``x-auth-token``) or for its looks (a password in an address, a bearer
token, a private key). In doubt it is hidden.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

MASK = "••••••••"

_SECRET_WORDS = {"secret", "password", "passwd", "passphrase", "pwd", "credential", "credentials", "dsn", "salt"}
"""A name with one of these in it, anywhere, is that of a secret."""
_SECRET_ENDS = {"token", "tokens", "pass", "auth", "authorization", "cookie", "signature", "keys"}
"""A name that ends with one of these, or with ``…key``."""
_PLAIN_NAMES = {"auth_password_validators", "password_hashers", "password_reset_timeout", "revision"}
"""Names that only look like it."""

_NAMED = r"[\w.-]*(?:secret|passw(?:or)?d|passphrase|pwd|token|api[_-]?key|access[_-]?key|credential|signature)[\w.-]*"
_SHAPES: list[tuple[re.Pattern[str], str]] = [
    # Up to the last @: a password may have one in it.
    (re.compile(r"([a-z][a-z0-9+.-]*://)[^\s\"'<>]*@", re.IGNORECASE), rf"\1{MASK}@"),
    (re.compile(rf"({_NAMED}\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s&;,]+)", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(r"([?&;](?:key|auth|sig|code)=)[^&;\s]+", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(r"\b(bearer|basic|digest|token)\s+[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"-----BEGIN.*", re.DOTALL), MASK),
    (
        re.compile(
            r"\b(?:sk-|sk_live_|sk_test_|rk_live_|ghp_|gho_|ghs_|github_pat_|glpat-|hf_|xox[abeprs]-|AKIA|AIza|ya29\.|eyJ)"
            r"[\w.~+/=-]{6,}"
        ),
        MASK,
    ),
    (re.compile(r"(?<![\w/.-])[A-Za-z0-9_+=-]{28,}(?![\w/.-])"), ""),  # if it looks random
]


def is_secret_name(name: str) -> bool:
    """Whether what has this name is to be hidden."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]
    if not words or name.lower() in _PLAIN_NAMES:
        return False
    joined = "".join(words)
    has_word = any(word in _SECRET_WORDS or word in {"apikey", "authkey"} for word in words)
    ends = words[-1] in _SECRET_ENDS or words[-1].endswith("key")
    return has_word or ends or any(word in joined for word in ("password", "passphrase", "secret", "apikey"))


def masked(name: str, value: Any) -> Any:
    """Return the value as it may be shown: whole, in part, or not at all; what is empty is shown to be."""
    if value is None or isinstance(value, bool) or value in ("", b"", [], (), {}):
        return value
    if is_secret_name(name) and not (isinstance(value, int | float) and name.lower().endswith("tokens")):
        return MASK
    if isinstance(value, dict):
        return {key: masked(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(name, inner) for inner in value]
    if isinstance(value, int | float):
        return value
    return without_secrets(str(value)) if name.lower() not in _PLAIN_NAMES else str(value)


def without_secrets(text: str) -> str:
    """Return the text without what looks like a secret in it."""
    for pattern, instead in _SHAPES:
        text = pattern.sub(instead or (lambda found: MASK if _is_random(found[0]) else found[0]), text)
    return text


def _is_random(word: str) -> bool:
    """Whether somebody's program chose the letters: many different ones, and digits among them."""
    entropy = -sum(n / len(word) * math.log2(n / len(word)) for n in Counter(word).values())
    return entropy > 3.2 and any(map(str.isdigit, word)) and any(map(str.isalpha, word))
