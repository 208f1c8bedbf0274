"""Checks a schedule's settings of simulated members, and converts them to fields of `Config`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.systems.member_settings.token_secret import METHOD, SECRET_FILE
from splitbrain.node.config import Config, ConfigError, checked_config
from splitbrain.node.jwt_settings import JwtSettings

JWT_TTL = "jwt_ttl_ms"
"""The setting with which tokens are JSON Web Tokens. Its value is how long a token is valid, in
milliseconds."""
TYPES = {
    field.name: {"int": int, "bool": bool}[str(field.type)]
    for field in dataclasses.fields(Config) if str(field.type) in ("int", "bool")
} | {JWT_TTL: int}
"""Maps a setting to its type."""


def config_fields(settings: Mapping[str, int]) -> dict[str, object]:
    """Return the fields of `Config` that have the meaning of a schedule's settings."""
    fields: dict[str, object] = dict(settings)
    if JWT_TTL in settings:
        ttl_ms = settings[JWT_TTL]
        del fields[JWT_TTL]
        fields["auth_token"] = JwtSettings(METHOD, SECRET_FILE.read_bytes(), ttl_ms=ttl_ms)
    return fields


def check_simulated_settings(schedule: Schedule) -> None:
    """Raise BadArguments for a setting that simulated members do not have or do not accept."""
    for name, value in schedule.settings.items():
        if name not in TYPES:
            raise BadArguments(
                f"setting {name}: a member has no such setting; it has {', '.join(TYPES)}"
            )
        if type(value) is not TYPES[name]:
            expected = "true or false" if TYPES[name] is bool else "a whole number"
            raise BadArguments(f"setting {name} {value!r}: expected {expected}")
    url = ("http://n1:2380",)
    settings = {
        "heartbeat_ms": schedule.options.heartbeat_ms,
        "election_ms": schedule.options.election_ms,
        **config_fields(schedule.settings),
    }
    try:
        checked_config(Config(
            name="n1", data_dir="n1", initial_cluster=(("n1", url),), listen_client_urls=url,
            advertise_client_urls=url, listen_peer_urls=url,
            **settings,  # type: ignore[arg-type]
        ))
    except ConfigError as problem:
        raise BadArguments(f"a setting of the schedule: {problem}") from problem
