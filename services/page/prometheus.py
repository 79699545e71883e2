"""Questions to Prometheus' HTTP API in, its answers out, bounded in time and size.

https://prometheus.io/docs/prometheus/latest/querying/api/
"""

import json
from dataclasses import dataclass
from typing import Any

import httpx


class PrometheusError(Exception):
    """No usable answer; `status` is the HTTP status that says whose fault that is."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Sample:
    """One series' newest value."""

    labels: dict[str, str]
    value: float


@dataclass(frozen=True)
class Prometheus:
    """One server; `url` is where the page asks it."""

    client: httpx.AsyncClient
    url: str
    seconds: float
    max_bytes: int

    async def get(self, path: str, query: str = "") -> tuple[int, bytes]:
        """GET `/api/v1/<path>?<query>`: the status and the body, as they came.

        Raises:
            PrometheusError: it is away (502), too slow (504), or says more than we take (502).

        """
        address = f"{self.url}/api/v1/{path}?{query}"
        try:
            async with self.client.stream("GET", address, timeout=self.seconds) as answer:
                return answer.status_code, await self._body(answer)
        except httpx.TimeoutException as error:
            message = f"Prometheus at {self.url} took longer than {self.seconds:g} s"
            raise PrometheusError(504, message) from error
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            message = f"Prometheus at {self.url} does not answer: {reason}"
            raise PrometheusError(502, message) from error

    async def _body(self, answer: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > self.max_bytes:
                raise PrometheusError(
                    502,
                    f"the answer is larger than {self.max_bytes} bytes: ask for fewer series or a "
                    "shorter time (or set RELAY_PAGE_MAX_ANSWER_BYTES)",
                )
        return bytes(body)

    async def data(self, path: str, **parameters: str) -> Any:
        """Ask, and give what stands under `data`; PrometheusError for anything but a success."""
        _, body = await self.get(path, str(httpx.QueryParams(parameters)))
        try:
            answer = json.loads(body)
            if answer["status"] != "success":
                raise PrometheusError(502, f"Prometheus refuses {parameters}: {answer['error']}")
            return answer["data"]
        except (ValueError, KeyError, TypeError) as error:
            message = f"what answers at {self.url} is not Prometheus' API: {body[:100]!r}"
            raise PrometheusError(502, message) from error

    async def samples(self, expression: str) -> list[Sample]:
        """Ask an instant query; its series now."""
        data = await self.data("query", query=expression)
        return [Sample(one["metric"], float(one["value"][1])) for one in data["result"]]
