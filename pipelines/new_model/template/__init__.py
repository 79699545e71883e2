"""The model "$name": its feed, its rows, its network, and its policy in ``params.yaml``."""
