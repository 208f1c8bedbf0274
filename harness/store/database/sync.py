"""Keeps the database equal to the folders of a store while a server runs.

A run is added to the database when it ends. But the database does not notice when a folder is
copied into the store or removed from it. `FolderSync` therefore compares the database with the
folders. It reads the list of a test's runs again only if the folder of the test has changed.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from splitbrain.harness.store.database.database import add_runs, folder_row
from splitbrain.harness.store.failure_groups import Groups
from splitbrain.harness.store.run_folder import RUN

RUNNING_MAX = 200


class FolderSync:
    """Updates the database from the folders of one store, each time that `update` is called."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._seen: dict[str, int] = {}

    def update(self, connection: sqlite3.Connection) -> None:
        """Add the runs that the database lacks, and remove those whose folders are gone.

        The rows of runs in progress are renewed, too.
        """
        groups = Groups(self._store)
        fresh = [folder for test in self._changed() for folder in self._unknown(connection, test)]
        running = [
            self._store / folder for (folder,) in connection.execute(
                "SELECT folder FROM runs WHERE verdict = 2 AND ended = 'running' AND folder <> ''"
                " ORDER BY started DESC LIMIT ?", (RUNNING_MAX,),
            )
        ]
        known = [folder for folder in (*fresh, *running) if (folder / RUN).is_file()]
        if known:
            add_runs(connection, (folder_row(groups, self._store, folder) for folder in known))

    def _changed(self) -> list[Path]:
        changed = []
        for test in self._store.iterdir():
            if test.is_symlink() or not test.is_dir():
                continue
            at = test.stat().st_mtime_ns
            if self._seen.get(test.name) != at:
                self._seen[test.name] = at
                changed.append(test)
        return changed

    def _unknown(self, connection: sqlite3.Connection, test: Path) -> list[Path]:
        """Return the folders of runs in `test` that the database lacks.

        Rows of the database whose folders are gone are removed. The row of a campaign's run is
        kept, but loses the name of its folder.
        """
        there = {
            one.name for one in test.iterdir() if not one.is_symlink() and (one / RUN).is_file()
        }
        prefix = f"{test.name}/"
        rows = connection.execute(
            "SELECT folder FROM runs WHERE folder <> '' AND folder >= ? AND folder < ?",
            (prefix, f"{test.name}0"),
        )
        stored = {str(folder).removeprefix(prefix) for (folder,) in rows}
        gone = [(f"{prefix}{name}",) for name in stored - there]
        connection.executemany("DELETE FROM runs WHERE key = ? AND campaign = 0", gone)
        connection.executemany("UPDATE runs SET folder = '' WHERE folder = ?", gone)
        return [test / name for name in sorted(there - stored)]
