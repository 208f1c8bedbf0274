"""Imports grpcio with settings for a harness that starts processes.

grpcio reads the settings from the environment when it is imported. Without them, it prints a line
whenever the harness starts a process while a call is in progress.
"""

from __future__ import annotations

import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc

__all__ = ["grpc"]
