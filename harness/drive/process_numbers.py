"""Numbers the processes of a client.

After an operation whose outcome is unknown, the client continues as a new process.

Source: Jepsen, whose clients also continue as another process after `info`.
"""

from __future__ import annotations

from splitbrain.harness.clients.completion import Completion


def next_process(process: int, completion: Completion, *, clients: int) -> int:
    """Return the process number of a client's next operation.

    `completion` is the end of the client's last operation, which `process` invoked. The processes
    of one client differ by multiples of `clients`, so no number belongs to two clients.
    """
    return process + clients if completion.ends_process else process
