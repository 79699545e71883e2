"""How fast serving is beside a bare HTTP server and its peers: `make bench-serving`."""
