"""The log lines of a Jepsen test of one register, as porcupine's test data keeps them.

    INFO  jepsen.util - 3	:invoke	:cas	[2 4]
    INFO  jepsen.util - 3	:ok	:cas	[2 4]
    INFO  jepsen.util - 1	:invoke	:read	nil
    INFO  jepsen.util - 1	:ok	:read	4
    INFO  jepsen.util - 2	:info	:write	:timed-out

A read that `fail`ed says nothing; a `cas` that did found another value than it expected.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

from histories.errors import HistoryError
from histories.formats.logged import Function, LoggedOperation, Outcome

_LINE = re.compile(
    r"INFO\s+jepsen\.util\s+-\s+(\d+)\s+:(invoke|ok|fail|info)\s+:(read|write|cas)\s+(\S.*?)\s*$"
)


def is_jepsen_log(first_line: str) -> bool:
    return bool(_LINE.match(first_line))


def read_jepsen_log(path: Path) -> list[LoggedOperation]:
    """The operations of `path` in the order of their calls; lines of other kinds are skipped.

    Raises HistoryError for a completion without an invocation, or a second invocation
    of one process while its first is under way.
    """
    under_way: dict[int, tuple[int, int, str, Any]] = {}
    operations: list[LoggedOperation | None] = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        match = _LINE.match(line)
        if match is None:
            continue
        process, kind, f = int(match[1]), match[2], match[3]
        if kind == "invoke":
            if process in under_way:
                raise HistoryError(
                    f"{path}:{number}: process {process} invokes while its operation of line "
                    f"{under_way[process][1]} is still under way"
                )
            under_way[process] = (len(operations), number, f, _value(match[4]))
            operations.append(None)
            continue
        if process not in under_way:
            raise HistoryError(f"{path}:{number}: process {process} ends {f} without invoking it")
        place, call, invoked_f, argument = under_way.pop(process)
        answer = None if match[4] == ":timed-out" else _value(match[4])
        operations[place] = _operation(process, invoked_f, argument, kind, answer, call, number)
    for process, (place, call, f, argument) in under_way.items():
        operations[place] = _operation(process, f, argument, "info", None, call, None)
    return [operation for operation in operations if operation is not None]


def _value(text: str) -> Any:
    if text == "nil":
        return None
    if text.startswith("["):
        return tuple(int(part) for part in text.strip("[]").split())
    return int(text)


def _operation(
    process: int, f: str, argument: Any, kind: str, answer: Any, call: int, ret: int | None
) -> LoggedOperation:
    return LoggedOperation(
        process=process,
        f=cast("Function", f),
        key="",
        argument=argument,
        outcome=cast("Outcome", kind),
        answer=answer,
        call=call,
        ret=None if kind == "info" else ret,
    )
