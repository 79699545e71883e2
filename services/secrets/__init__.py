"""The stack's secrets: made once, at random; a folder for each service with what it needs."""
