"""What a server of verdicts tells Prometheus: how many, how they ended, how long they took, what was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import prometheus_client as prometheus
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

if TYPE_CHECKING:
    from collections.abc import Callable

    from trimtab.codeeval.ruling import Ruling
    from trimtab.codeeval.workers import Workers

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class ServeMetrics:
    """Counters of one server, in a registry of their own.

    Args:
        pending: Says how many requests are under way.
        workers: The pool that judges.

    Attributes:
        content_type: Of :meth:`text`.
    """

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, pending: Callable[[], int], workers: Workers) -> None:
        own = self._registry = prometheus.CollectorRegistry()
        self._rulings = prometheus.Counter(
            "trimtab_rulings", "Requests answered, by outcome.", ["outcome"], registry=own
        )
        self._refused = prometheus.Counter("trimtab_refused", "Requests refused, by status.", ["status"], registry=own)
        self._cpu = prometheus.Counter("trimtab_program_cpu_seconds", "CPU seconds of programs.", registry=own)
        self._took = prometheus.Histogram(
            "trimtab_request_seconds", "Seconds from a request to its ruling.", buckets=_SECONDS, registry=own
        )
        waiting = prometheus.Gauge("trimtab_pending", "Requests under way or waiting.", registry=own)
        waiting.set_function(pending)
        at_once = prometheus.Gauge("trimtab_workers", "Programs run at once.", registry=own)
        at_once.set(workers.settings.workers)
        retried = prometheus.Gauge("trimtab_retried", "Requests judged again after the sandbox failed.", registry=own)
        retried.set_function(lambda: workers.retried)
        prometheus.ProcessCollector(registry=own)

    def answered(self, ruled: Ruling, seconds: float) -> None:
        """Count a ruling."""
        self._rulings.labels(str(ruled.outcome or "not_judged")).inc()
        self._cpu.inc(ruled.cpu_s)
        self._took.observe(seconds)

    def refused(self, status: int) -> None:
        """Count a request that was not judged."""
        self._refused.labels(str(status)).inc()

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return prometheus.generate_latest(self._registry)
