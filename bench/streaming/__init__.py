"""Answers on their way to many readers, ours and the ways one would write first: ``python -m bench.streaming``."""
