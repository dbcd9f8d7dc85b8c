"""A causal language model on this machine, run by transformers in a process of its own."""

from __future__ import annotations

from backends.transformers.backend import TransformersBackend

__all__ = ["TransformersBackend"]
