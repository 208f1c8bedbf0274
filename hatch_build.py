"""A build hook for the sdist: it adds the symbolic links of `splitbrain/`.

hatch follows a link to a folder instead of storing it, and skips the folder that it has
already visited. Without the links, the unpacked sdist has no package `splitbrain.harness`,
and neither the tests nor an editable installation work there.
"""

from __future__ import annotations

import gzip
import shutil
import tarfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class LinksInSdist(BuildHookInterface[Any]):
    """Runs for the target `sdist` only: see [tool.hatch.build.targets.sdist.hooks.custom]."""

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Add each link of `splitbrain/` to the archive at `artifact_path`."""
        archive = Path(artifact_path)
        links = [path for path in Path(self.root, "splitbrain").iterdir() if path.is_symlink()]
        larger = archive.with_suffix(".with-links")
        with (
            tarfile.open(archive) as source,
            gzip.GzipFile(larger, "wb", mtime=0) as packed,
            tarfile.TarFile(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as target,
        ):
            members = source.getmembers()
            for member in members:
                target.addfile(member, source.extractfile(member))
            for link in sorted(links):
                target.addfile(symbolic_link(link, like=members[0]))
        shutil.copymode(archive, larger)
        larger.replace(archive)


def symbolic_link(link: Path, like: tarfile.TarInfo) -> tarfile.TarInfo:
    """The entry for `link`, in the same root folder and with the same time as `like`."""
    root = like.name.split("/", 1)[0]
    entry = tarfile.TarInfo(f"{root}/splitbrain/{link.name}")
    entry.type = tarfile.SYMTYPE
    entry.linkname = str(link.readlink())
    entry.mtime = like.mtime
    return entry
