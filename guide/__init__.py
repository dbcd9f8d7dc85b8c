"""A very small GPT-2 that answers questions about this site, with the corpus it is trained on."""
