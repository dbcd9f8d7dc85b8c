"""Searching 100,000 messages: how long, how large, and what keeping the index costs."""
