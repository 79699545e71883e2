"""One file an address, or a few that belong together: requests in, answers out."""
