"""A pytest plugin that limits the examples of a suite's property tests.

A suite registers its own hypothesis profile while it is imported. The plugin adds to it the number
of examples. The old suites use fixtures in property tests in a way that hypothesis now reports; the
profile permits it.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings

_register = settings.register_profile


def register_profile(name: str, parent: settings | None = None, **given: Any) -> None:
    _register(
        name, parent, **given, database=None, suppress_health_check=list(HealthCheck),
        max_examples=int(os.environ["SUITE_EXAMPLES"]),
    )  # fmt: skip


# The class refuses a plain assignment.
type.__setattr__(settings, "register_profile", staticmethod(register_profile))
