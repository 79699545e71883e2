"""HTTP: requests in, routed to endpoints; replies and refusals out."""
