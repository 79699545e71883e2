"""The model "digits": its feed, its drifts, its rows, its network, and its policy."""
