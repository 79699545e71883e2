"""Dashboards as code: Python in, the JSON that Grafana and the page draw out."""
