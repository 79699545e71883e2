"""Versions: which of them the registry wants, fetched, kept on this disk, and served."""
