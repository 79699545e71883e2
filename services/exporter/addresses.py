"""Settings in; where people find each part of the platform out, for links in dashboards."""

from collections.abc import Iterator, Mapping

import httpx

from services.exporter.gauges import Gauge, Sample

ADDRESS = Gauge("relay_address_info", "1; the label says where people find it", ("name", "url"))


def addresses(links: Mapping[str, str]) -> Iterator[Sample]:
    """Give the addresses that are known, without a user and password that stand in them."""
    for name, url in links.items():
        if url:
            shown = httpx.URL(url).copy_with(username=None, password=None)
            yield ADDRESS(1, name, str(shown).rstrip("/"))
