"""Prometheus metrics, in a registry of their own for each app."""

from __future__ import annotations

import time
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tsir.jobs.model import STATES, Job
from tsir.records import CollectionSummary

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds: from a cached thumbnail to a cold query on a slow machine."""


class Metrics:
    """What the server counts and measures."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ["method", "route", "status"]
        self.requests = Counter("tsir_requests", "Answered requests.", labels, registry=self.registry)
        self.seconds = Histogram(
            "tsir_request_seconds", "Time to the end of the answer.", ["route"], buckets=BUCKETS, registry=self.registry
        )
        self.search = Histogram("tsir_search_seconds", "Stages of a search.", ["stage"], buckets=BUCKETS, registry=self.registry)
        self.images = Gauge("tsir_images", "Pictures that a search can find.", ["collection"], registry=self.registry)
        self.jobs = Gauge("tsir_jobs", "Jobs among the newest thousand.", ["state"], registry=self.registry)

    def searched(self, took_ms: dict[str, float]) -> None:
        """Record the stages of one search."""
        for stage, milliseconds in took_ms.items():
            self.search.labels(stage).observe(milliseconds / 1000)

    def exposition(self, collections: Sequence[CollectionSummary], jobs: Sequence[Job]) -> bytes:
        """Everything in Prometheus' text format, with the library's state of this moment."""
        self.images.clear()
        for collection in collections:
            self.images.labels(collection.name).set(collection.count)
        for state in STATES:
            self.jobs.labels(state).set(sum(job.state == state for job in jobs))
        return generate_latest(self.registry)


class Measure:
    """Middleware: counts and times each request under the route's template, so that ids make no new series."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watch)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            self.metrics.requests.labels(scope["method"] if scope["method"] in METHODS else "other", route, status).inc()
            self.metrics.seconds.labels(route).observe(time.perf_counter() - started)


METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))
