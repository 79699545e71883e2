"""What HTTP clients can ask for: a request in, a reply out, one module a protocol."""
