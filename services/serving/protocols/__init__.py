"""Protocols: what clients send in, queries out; outputs in, what they are answered out."""
