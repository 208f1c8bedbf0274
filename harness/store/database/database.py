"""Opens, writes and rebuilds the database of runs, `runs.sqlite` in the store.

The database is only an index of the folders of runs. It is created when it is first needed, and
`rebuild` makes it again from the folders. Each write is one transaction, so several processes may
add runs at the same time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from splitbrain.harness.errors import SplitbrainError
from splitbrain.harness.schedule.seed_range import SEED_MAX, SEED_MIN
from splitbrain.harness.store.campaign_folder import campaign_folders
from splitbrain.harness.store.database.schema import SCHEMA, VERSION
from splitbrain.harness.store.failure_groups import Groups
from splitbrain.harness.store.failure_signature import signature_of
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.store.run_folders import run_folders
from splitbrain.harness.store.run_row import RunRow, row_of_folder

FILE = "runs.sqlite"
WAIT_S = 60.0
"""The time for which a process waits for another process that writes."""
VERDICTS: dict[bool | None, int] = {True: 0, False: 1, None: 2}
"""The number of each verdict in the column `verdict`."""


class DatabaseFailed(SplitbrainError):
    """The database cannot be read or written. The folders of the runs are not affected."""


@contextmanager
def open_database(store: Path) -> Iterator[sqlite3.Connection]:
    """Open the database of `store`, and close it at the end of the context. Raises DatabaseFailed.

    If there is no database, or if it has another version, it is first built from the folders.
    """
    try:
        connection = sqlite3.connect(store / FILE, timeout=WAIT_S, isolation_level=None)
        try:
            # The database can be rebuilt, so commits do not wait for the disk.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            if _version(connection) != VERSION:
                _build(connection, store)
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as problem:
        raise DatabaseFailed(
            f"{store / FILE}: {problem}. `splitbrain runs rebuild` makes the database again from "
            "the folders of the runs"
        ) from problem


def rebuild(store: Path) -> int:
    """Make the database of `store` again from the folders. Return the number of runs in it.

    Other processes that read the database see the old content until the new one is complete.
    """
    try:
        return _rebuild(store)
    except sqlite3.DatabaseError:
        # The file is damaged: SQLite cannot remove tables that it cannot read.
        for suffix in ("", "-wal", "-shm"):
            (store / f"{FILE}{suffix}").unlink(missing_ok=True)
        return _rebuild(store)


def _rebuild(store: Path) -> int:
    connection = sqlite3.connect(store / FILE, timeout=WAIT_S, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        _build(connection, store, again=True)
        return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])
    finally:
        connection.close()


def add_runs(connection: sqlite3.Connection, rows: Iterable[RunRow]) -> None:
    """Add `rows` in one transaction. Each replaces the row with the same key, if there is one."""
    with _transaction(connection):
        _insert(connection, rows)


def remove_folders(store: Path, folders: Iterable[Path]) -> None:
    """Remove the runs in `folders` from the database, if the store has a database."""
    if not (store / FILE).is_file():
        return
    keys = [(folder.absolute().relative_to(store.absolute()).as_posix(),) for folder in folders]
    with open_database(store) as connection, _transaction(connection):
        connection.executemany("DELETE FROM runs WHERE key = ?", keys)


def record_folder(store: Path, folder: Path) -> None:
    """Add the run in `folder` to the database, or replace its row. Raises DatabaseFailed."""
    with open_database(store) as connection:
        add_runs(connection, (folder_row(Groups(store), store, folder),))


def record_again(folder: Path) -> None:
    """Replace the row of the run in `folder` after it was judged again. Raises DatabaseFailed.

    Nothing happens if `folder` is not in a store that has a database.
    """
    store = folder.parent.parent
    if (store / FILE).is_file():
        record_folder(store, folder)


def rename_group(connection: sqlite3.Connection, name: str, new: str) -> None:
    """Move all runs of the group `name` to the group `new`, which may already exist."""
    with _transaction(connection):
        connection.execute("INSERT OR IGNORE INTO failure_groups (name) VALUES (?)", (new,))
        connection.execute(
            "UPDATE runs SET failure_group = (SELECT id FROM failure_groups WHERE name = ?)"
            " WHERE failure_group > 0"
            " AND failure_group = (SELECT id FROM failure_groups WHERE name = ?)", (new, name),
        )
        connection.execute("DELETE FROM failure_groups WHERE name = ?", (name,))


class GroupCount(NamedTuple):
    """The number of failures of a group, and when the first and the last of them occurred.

    Times are in seconds since 1970.
    """

    runs: int
    first: int
    last: int


def group_counts(connection: sqlite3.Connection) -> dict[str, GroupCount]:
    """Return for each group of failures how often and when its failures occurred."""
    found = connection.execute(
        "SELECT name, count(*), min(started), max(started) FROM runs JOIN failure_groups"
        " ON failure_groups.id = failure_group WHERE failure_group > 0 GROUP BY failure_group"
    )
    return {name: GroupCount(runs, first, last) for name, runs, first, last in found}


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _build(connection: sqlite3.Connection, store: Path, *, again: bool = False) -> None:
    """Create the tables, and fill them from the folders, in one transaction.

    Nothing happens if the database has the current version already, unless `again` is True.
    """
    with _transaction(connection):
        if not again and _version(connection) == VERSION:
            return  # Another process has built the database in the meantime.
        tables = connection.execute(
            "SELECT type, name FROM sqlite_master WHERE type IN ('table', 'trigger')"
            " AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'reasons_%' ORDER BY type DESC"
        ).fetchall()
        for kind, name in tables:
            connection.execute(f"DROP {kind} IF EXISTS {name}")
        for statement in _statements(SCHEMA):
            connection.execute(statement)
        _insert(connection, _all_rows(store))
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _all_rows(store: Path) -> Iterator[RunRow]:
    """Yield the rows of all runs of the store.

    They are the runs with a folder, and the runs in the logs of campaigns.
    """
    groups = Groups(store)
    for folder in run_folders(store):
        yield folder_row(groups, store, folder)
    for campaign in campaign_folders(store):
        for ended in campaign.ended().values():
            row = ended.row
            if row.folder and not (store / row.folder).is_dir():
                row = msgspec.structs.replace(row, folder="")
            group = groups.of(ended.signature) if ended.signature else None
            yield msgspec.structs.replace(row, group=group.name if group else "")


def folder_row(groups: Groups, store: Path, folder: Path) -> RunRow:
    """Return the row of the run in `folder`, with the name of its group of failures."""
    row = row_of_folder(store, folder)
    results = RunFolder(folder).read_results() if row.valid is False else None
    signature = signature_of(results.verdicts) if results else None
    group = groups.of(signature) if signature else None
    return msgspec.structs.replace(row, group=group.name) if group else row


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of `script` one by one.

    `executescript` cannot be used, because it would commit the transaction.
    """
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _insert(connection: sqlite3.Connection, rows: Iterable[RunRow]) -> None:
    known: dict[tuple[object, ...], int] = {}

    def number(table: str, **columns: object) -> int:
        """Return the id of the row of `table` with the values `columns`.

        The row is added if it is missing.
        """
        key = (table, *columns.values())
        if key not in known:
            names, marks = ", ".join(columns), ", ".join("?" * len(columns))
            equal = " AND ".join(f"{name} = ?" for name in columns)
            values = tuple(columns.values())
            connection.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", values)
            found = connection.execute(f"SELECT id FROM {table} WHERE {equal}", values).fetchone()
            known[key] = int(found[0])
        return known[key]

    for row in rows:
        subject = number("subjects", system=row.system, workload=row.workload, mutant=row.mutant)
        values = (
            row.key, row.folder,
            number(
                "configurations", subject=subject, test=row.test, nemesis=",".join(row.nemesis),
                members=row.members,
            ),
            number("builds", version=row.version, commit_id=row.commit),
            number("findings", checker=row.checker, kind=row.kind) if row.checker else 0,
            number("campaigns", name=row.campaign) if row.campaign else 0, row.number,
            number("failure_groups", name=row.group) if row.group else 0,
            row.started, VERDICTS[row.valid], _storable(row.seed), row.ended,
            row.error, row.load_s, row.rate, row.p50_ms, row.p99_ms, row.ok, row.fail, row.info,
            row.anomalies, row.because, row.reproduce,
        )
        # The statement REPLACE would not run the trigger that counts the removed row.
        connection.execute("DELETE FROM runs WHERE key = ?", (row.key,))
        connection.execute(
            f"INSERT INTO runs VALUES (NULL, {', '.join('?' * len(values))})", values
        )


def _storable(seed: int | None) -> int | None:
    """Return `seed`, or the nearest integer that SQLite can store. None stays None.

    A schedule file may name a seed of any size.
    """
    return None if seed is None else min(max(seed, SEED_MIN), SEED_MAX)
