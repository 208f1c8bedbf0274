"""The key-value logs of porcupine's test data: one EDN map a line.

    {:process 0, :type :invoke, :f :append, :key "0", :value "x 0 0 y"}
    {:process 0, :type :ok, :f :append, :key "0", :value "x 0 0 y"}
    {:process 0, :type :invoke, :f :get, :key "7", :value nil}
    {:process 0, :type :ok, :f :get, :key "7", :value ""}
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

from histories.errors import HistoryError
from histories.formats.logged import Function, LoggedOperation, Outcome

_LINE = re.compile(
    r"\{:process (\d+), :type :(invoke|ok|fail|info), :f :(get|put|append), "
    r':key "([^"]*)", :value (?:nil|"([^"]*)")\}\s*$'
)


def is_porcupine_kv(first_line: str) -> bool:
    return bool(_LINE.match(first_line))


def read_porcupine_kv(path: Path) -> list[LoggedOperation]:
    """The operations of `path` in the order of their calls. Raises HistoryError with the line."""
    under_way: dict[int, tuple[int, int, re.Match[str]]] = {}
    operations: list[LoggedOperation | None] = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        match = _LINE.match(line)
        if match is None:
            raise HistoryError(
                f"{path}:{number}: {line[:80]!r} is not of porcupine's key-value logs: expected "
                "{:process N, :type :invoke, :f :get, :key K, :value V}"
            )
        process, kind = int(match[1]), match[2]
        if kind == "invoke":
            if process in under_way:
                raise HistoryError(
                    f"{path}:{number}: process {process} invokes while its operation of line "
                    f"{under_way[process][1]} is still under way"
                )
            under_way[process] = (len(operations), number, match)
            operations.append(None)
            continue
        if process not in under_way:
            raise HistoryError(f"{path}:{number}: process {process} ends without invoking")
        place, call, invoke = under_way.pop(process)
        operations[place] = _operation(process, invoke, kind, match[5], call, number)
    for process, (place, call, invoke) in under_way.items():
        operations[place] = _operation(process, invoke, "info", None, call, None)
    return [operation for operation in operations if operation is not None]


def _operation(
    process: int, invoke: re.Match[str], kind: str, answer: str | None, call: int, ret: int | None
) -> LoggedOperation:
    f = cast("Function", invoke[3])
    return LoggedOperation(
        process=process,
        f=f,
        key=invoke[4],
        argument=invoke[5],
        outcome=cast("Outcome", kind),
        answer=answer if f == "get" else None,
        call=call,
        ret=None if kind == "info" else ret,
    )
