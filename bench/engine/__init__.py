"""The local engine against the ways that one would write first: ``python -m bench.engine``. README.md has the rest."""
