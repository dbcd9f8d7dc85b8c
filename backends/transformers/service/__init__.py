"""The engine service: one program for a machine, which owns the engine processes. It never imports torch."""
