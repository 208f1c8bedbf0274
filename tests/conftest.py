"""Settings of hypothesis for all tests.

A test is never judged by how long it took, because the machine may be busy. The profile `suite`
always draws the same examples, so that a change of the sources alone decides whether the suite
passes; without it, each run draws new ones.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "random", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("suite", settings.get_profile("random"), derandomize=True)
settings.load_profile("random")
