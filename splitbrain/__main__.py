"""Runs the command line, as the script `splitbrain` does."""

from __future__ import annotations

from splitbrain.harness.cli.main import main

if __name__ == "__main__":
    main()
