"""Executes the runs of a campaign in a separate process, one after another, in its main thread.

A worker of Dask executes its jobs in threads. But a run needs a process: members can be driven only
from a main thread, a planted bug cannot be removed from a process, and a run can kill its process.
Therefore each thread of a worker gives its jobs to a `RunProcess`.

A socket connects the worker and this process. If the worker dies, even by SIGKILL, the socket is
closed. The process then stops its run, removes the folder of the run, and ends.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from queue import SimpleQueue

from splitbrain.harness.campaign.job import Job, Outcome, run_job
from splitbrain.harness.errors import SplitbrainError, SystemFailed
from splitbrain.harness.seeds.worker_processes import prepare_worker


class RunProcessDied(SplitbrainError):
    """The process died during a run. The message contains its exit code."""


class RunProcess:
    """A process that executes runs. Only one thread may use it at a time."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-P", "-m", __name__, str(theirs.fileno())]
            self._child = subprocess.Popen(
                command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        self._connection: Connection[Job, Outcome | str] = Connection(ours.detach())

    @property
    def pid(self) -> int:
        return self._child.pid

    def run(self, job: Job) -> Outcome:
        """Execute the run of `job` in the process, and return its outcome.

        Raises RunProcessDied if the process dies, and SystemFailed if the run raises an exception.
        """
        try:
            self._connection.send(job)
            reply = self._connection.recv()
        except (EOFError, OSError) as problem:
            code = self.close()
            raise RunProcessDied(f"the process of run {job.number} died: {code}") from problem
        if isinstance(reply, str):
            raise SystemFailed(f"run {job.number} failed: {reply}")
        return reply

    def close(self) -> int:
        """End the process, and return its exit code."""
        self._connection.close()
        return self._child.wait()


def serve(connection: Connection[Outcome | str, Job]) -> None:
    """Execute the jobs that arrive on `connection`, until it is closed."""
    jobs: SimpleQueue[Job] = SimpleQueue()
    threading.Thread(target=_read, args=(connection, jobs), daemon=True).start()
    while True:
        job = jobs.get()
        reply: Outcome | str
        try:
            reply = run_job(job)
        except Exception:
            reply = traceback.format_exc()
        connection.send(reply)


def _read(connection: Connection[Outcome | str, Job], jobs: SimpleQueue[Job]) -> None:
    """Read the jobs from `connection`, and put them into the queue `jobs`.

    When the connection is closed, SIGTERM ends the run in progress.
    """
    try:
        while True:
            jobs.put(connection.recv())
    except (EOFError, OSError, pickle.UnpicklingError):
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    prepare_worker()
    serve(Connection(int(sys.argv[1])))
