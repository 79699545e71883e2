"""Check results as Prometheus metrics."""
