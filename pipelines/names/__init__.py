"""The model "names": its feed, its rows, its network, and its policy in ``params.yaml``."""
