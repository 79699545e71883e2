"""Tests of everything: unit, contract, integration with the real programs, end to end."""
