"""Models: an MLflow folder in, something that answers checked rows out."""
