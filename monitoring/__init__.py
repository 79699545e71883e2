"""What is watched: the prediction log, the checks on it, and Prometheus' rules."""
