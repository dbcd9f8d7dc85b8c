"""The servers that are compared, and the upstream that some of them ask."""
