"""Serving: each registered model that has an alias, over HTTP and gRPC; every answer is logged."""
