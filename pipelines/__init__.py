"""What runs: the steps of the loop, what they share, and one folder a model."""
