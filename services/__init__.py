"""What stays up: one folder a service."""
