"""Deletes and replaces the content of a data folder so that a power loss cannot undo the change."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def delete_content(folder: Path) -> None:
    """Delete the content of `folder`, but not `folder`, which may be the root of a mounted disk.

    The deletion is synced. Otherwise, after a power loss, a member could start with deleted data.
    Raises OSError if the disk fails. The deletion may then be incomplete, and can be repeated.
    """
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    _sync(folder)


def replace_content(folder: Path, by: Path) -> None:
    """Delete the content of `folder`, copy the content of the folder `by` there, and delete `by`.

    The copies are synced. Raises OSError.
    """
    delete_content(folder)
    shutil.copytree(by, folder, dirs_exist_ok=True)
    for path in (*folder.rglob("*"), folder):
        if not path.is_symlink():
            _sync(path)
    shutil.rmtree(by)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
