"""Implements a system's member that sends bytes to peers on command, and returns the answers.

    python talker.py HOST CONTROL_PORT PEER_PORT

A command is one JSON line on the control port, and so is its answer.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any


class Talker:
    def __init__(self) -> None:
        self.streams: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}

    async def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        began = time.monotonic()
        try:
            async with asyncio.timeout(command.get("timeout_s", 5.0)):
                text = await getattr(self, command.pop("do"))(command)
        except TimeoutError:
            text = "timeout"
        except ConnectionRefusedError:
            text = "refused"
        except (OSError, EOFError):
            text = "reset"
        return {"text": text, "s": time.monotonic() - began}

    async def dial(self, command: dict[str, Any]) -> str:
        name = command["name"]
        reader, writer = await asyncio.open_connection(command["host"], command["port"])
        self.streams[name] = (reader, writer)
        return await self.ping({"name": name})

    async def ping(self, command: dict[str, Any]) -> str:
        """Send bytes, and read them back."""
        _, writer = self.streams[command["name"]]
        writer.write(bytes(command.get("size", 10)))
        await writer.drain()
        return await self.read(command)

    async def read(self, command: dict[str, Any]) -> str:
        reader, _ = self.streams[command["name"]]
        got = await reader.readexactly(command.get("size", 10))
        return "ok" if not any(got) else "changed"


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def main() -> None:
    host, control, peer = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    talker = Talker()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            command = json.loads(line)
            if command["do"] == "end":
                os._exit(7)
            answer = await talker.answer(command)
            writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()

    print("marker: the member has started", flush=True)
    await asyncio.start_server(echo, host, peer)
    await (await asyncio.start_server(serve, host, control)).serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
