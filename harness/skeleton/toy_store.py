"""A toy store: registers and sets in one process, behind a socket. Replace it by your store.

A request is one line of JSON such as ["write", "x", 3], and so is its answer. Every write is
appended to a file, so that the store still has it after a kill. With `--forget`, the store writes
its file only every half second, so that a kill loses writes. Splitbrain finds this bug.
"""

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any


class Store:
    def __init__(self, file: Path, forget: bool) -> None:
        self.values: dict[str, Any] = {}
        self.file = file
        self.forget = forget
        self.unwritten: list[str] = []
        if file.exists():
            for line in file.read_text().splitlines():
                self.apply(*json.loads(line))

    def apply(self, f: str, key: str, value: Any) -> Any:
        if f == "write":
            self.values[key] = value
        elif f == "add":
            self.values[key] = [*self.values.get(key, []), value]
        return self.values.get(key)

    def execute(self, line: bytes) -> Any:
        f, key, value = json.loads(line)
        if f == "cas":
            old, value = value
            if self.values.get(key) != old:
                return False
            self.execute(json.dumps(["write", key, value]).encode())
            return True
        if f != "read":
            self.unwritten.append(json.dumps([f, key, value]) + "\n")
            if not self.forget:
                self.flush()
        answer = self.apply(f, key, value)
        return answer if f == "read" else None

    def flush(self) -> None:
        with self.file.open("a") as file:
            file.writelines(self.unwritten)
        self.unwritten.clear()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--forget", action="store_true")
    given = parser.parse_args()
    store = Store(given.file, given.forget)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(json.dumps(store.execute(line)).encode() + b"\n")

    async with await asyncio.start_server(serve, "127.0.0.1", given.port):
        while True:
            await asyncio.sleep(0.5)
            store.flush()


if __name__ == "__main__":
    asyncio.run(main())
