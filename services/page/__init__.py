"""The platform's own page: the state of the loop, dashboards, runbooks and the trail of alerts."""
