"""Conversations that leave the site and come to it: exports, and imports of our own format and of others'.

``shape`` is what is carried, and JSON of it. Out: rows → ``collecting`` → shape → ``documents`` → ``archive``.
In: an upload → ``uploads`` (one piece of JSON for each conversation) → ``formats`` (any format to the shape) →
``batches`` (read, reported, imported, undone) → ``storing`` (the shape to rows; the one place that does).
"""
