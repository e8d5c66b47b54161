"""Counts and times of the service, in the text format of Prometheus."""

from typing import Callable, Collection, Tuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_TEXTS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """What is counted. Each service counts by itself.

    paths (Collection[str]): those that are told apart; others are one.
    waiting (Callable[[], int]): gives the number of texts that wait.
    """

    def __init__(self, paths: Collection[str], waiting: Callable[[], int]) -> None:
        self.paths = frozenset(paths)
        self.registry = CollectorRegistry()
        self._requests = Counter("ragre_requests", "Requests.", ["path", "status"], registry=self.registry)
        self._seconds = Histogram(
            "ragre_request_seconds", "How long requests took.", ["path"], buckets=_SECONDS, registry=self.registry
        )
        self._texts = Counter("ragre_texts", "Texts that the pipeline read.", registry=self.registry)
        self._batch = Histogram(
            "ragre_batch_texts", "Texts that were read together.", buckets=_TEXTS, registry=self.registry
        )
        gauge = Gauge("ragre_waiting_texts", "Texts that wait for the pipeline.", registry=self.registry)
        gauge.set_function(waiting)

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count a request."""
        path = path if path in self.paths else "other"
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def batch(self, count: int) -> None:
        """Count texts that are read together."""
        self._texts.inc(count)
        self._batch.observe(count)

    def text(self) -> Tuple[bytes, str]:
        """RETURNS (Tuple[bytes, str]): all of it, and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
