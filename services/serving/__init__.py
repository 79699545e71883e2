"""Serving: every registered model with an alias, over HTTP, each answer in the prediction log."""
