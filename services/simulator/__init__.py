"""The simulator: a model's feed replayed as traffic, batches and late labels."""
