"""Evidently's own UI over the monitor's reports, watching its folder before it reads it."""
