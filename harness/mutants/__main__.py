"""Starts a member with one planted bug: `python -m splitbrain.harness.mutants NAME -- FLAGS…`."""

from __future__ import annotations

import sys

from splitbrain.harness.mutants.catalogue import names, plant
from splitbrain.node.__main__ import main


def _arguments() -> tuple[str, list[str]]:
    arguments = sys.argv[1:]
    if not arguments or arguments[0] not in names():
        sys.exit(
            "usage: python -m splitbrain.harness.mutants NAME -- "
            "FLAGS OF python -m splitbrain.node\n"
            f"NAME is one of {', '.join(names())}"
        )
    flags = arguments[1:]
    return arguments[0], flags[1:] if flags[:1] == ["--"] else flags


if __name__ == "__main__":
    mutant_name, member_flags = _arguments()
    plant(mutant_name)
    main(args=member_flags, prog_name="python -m splitbrain.node")
