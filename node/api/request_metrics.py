"""Counts requests and measures their durations, under the names of etcd's gRPC metrics."""

from __future__ import annotations

from collections.abc import Callable

from splitbrain.node import metrics
from splitbrain.node.api.methods import Method
from splitbrain.node.messages.errors import Code


def observer(
    registry: metrics.Metrics | None, method: Method
) -> tuple[Callable[[], None], Callable[[Code, float], None]]:
    """Return the functions that record a request of `method` in the metrics.

    Call the first one when a request arrives. Call the second one when the request ends, with its
    code and its duration in seconds.
    """
    if registry is None:
        return lambda: None, lambda _code, _seconds: None
    names = {code: _camel(code) for code in Code}
    counts = registry.requests.of(method.name, method.service, method.kind.value, names.values())

    def observe(code: Code, elapsed_s: float) -> None:
        counts.end(names[code], elapsed_s)

    return counts.begin, observe


def _camel(code: Code) -> str:
    """Return the code's name as Go prints it, such as InvalidArgument."""
    return "OK" if code is Code.OK else code.name.title().replace("_", "")
