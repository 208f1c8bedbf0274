"""Reads the lists of known bugs, and selects those that a run excuses."""

from __future__ import annotations

import difflib
import functools
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources

import msgspec

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.known_bugs.known_bug import KnownBug, Version, parse_version

ALL = "all"
FILES = {"etcd": "etcd.toml"}
"""Maps the name of a store, as in the versions of a run, to the file with its known bugs."""
OTHER = "other "
"""The prefix of the name of a second program of a store, in the versions of a run."""


@functools.cache
def known_bugs() -> Mapping[str, KnownBug]:
    """Return the known bugs of all stores, by id."""
    return {bug.id: bug for store in FILES for bug in _bugs_of(store)}


@functools.cache
def _bugs_of(store: str) -> Sequence[KnownBug]:
    """Return the known bugs of `store`, in the order of their ids."""
    text = resources.files(__package__).joinpath(FILES[store]).read_text()
    bugs = msgspec.convert(tomllib.loads(text)["bug"], tuple[KnownBug, ...])
    return sorted(bugs, key=lambda bug: bug.id)


def check_ids(ids: Sequence[str]) -> None:
    """Raise BadArguments if an id in `ids` is not that of a known bug."""
    for one in ids:
        if one != ALL and one not in known_bugs():
            near = difflib.get_close_matches(one, known_bugs(), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise BadArguments(
                f"no known bug {one!r}{hint}; expected all, or names from "
                "`splitbrain list known-bugs`"
            )


def excused_bugs(ids: Sequence[str], versions: Mapping[str, str]) -> tuple[KnownBug, ...]:
    """Return the bugs that are in `ids` and that the tested version has.

    The id `all` means all listed bugs of that version. `versions` are the versions in the
    record of a run: that of the tested store, and that of a second program if the run has one. A
    store without a list, or a version that cannot be read, has no known bugs.
    """
    return tuple(
        bug
        for store in FILES
        for bug in _bugs_of(store)
        if (ALL in ids or bug.id in ids) and any(map(bug.affects, _versions(store, versions)))
    )


def _versions(store: str, versions: Mapping[str, str]) -> Iterator[Version]:
    for name in (store, OTHER + store):
        version = parse_version(versions.get(name, ""))
        if version is not None:
            yield version
