"""The site's settings, made quick and quiet for tests."""

from __future__ import annotations

from chatsite.settings import *  # noqa: F403
