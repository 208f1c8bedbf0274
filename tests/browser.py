"""Drives a headless Chromium over the DevTools protocol, for tests of pages.

    async with Browser() as browser:
        page = await browser.page(width=500, dark=True)
        await page.open("http://127.0.0.1:8080/")
        assert await page.evaluate("document.title") == "runs"
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

STARTED_WITHIN_S = 60.0
LOADED_WITHIN_S = 60.0
PROGRAM = shutil.which("chromium")
TASK = "ThreadControllerImpl::RunTask"
"""The event of a trace that stands for a task."""


class Browser:
    """A Chromium with a profile of its own."""

    async def __aenter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        profile = Path(self._folder.name)
        assert PROGRAM is not None
        self._process = subprocess.Popen(
            [PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             "--no-first-run", "--disable-background-networking", "--disable-component-update",
             "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )
        self._session = aiohttp.ClientSession()
        port = profile / "DevToolsActivePort"
        async with asyncio.timeout(STARTED_WITHIN_S):
            while not port.is_file() or not port.read_text().strip():
                await asyncio.sleep(0.05)
        self._address = f"http://127.0.0.1:{port.read_text().split()[0]}"
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _problem: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self._session.close()
        self._process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(self._process.wait)
        self._folder.cleanup()

    async def page(self, *, width: int = 1400, height: int = 900, dark: bool = False) -> Page:
        """A new page of this size and colour scheme."""
        async with self._session.put(f"{self._address}/json/new?about:blank") as answer:
            target = await answer.json(content_type=None)
        socket = await self._session.ws_connect(
            target["webSocketDebuggerUrl"], max_msg_size=0, origin=None
        )
        page = Page(socket)
        for domain in ("Page", "Network", "Runtime"):
            await page.command(f"{domain}.enable")
        await page.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await page.command("Emulation.setEmulatedMedia", features=[scheme])
        return page


class Page:
    """A page of the browser. `requested` are the URLs that it has asked for."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()
        self._traced: list[dict[str, Any]] = []
        self._trace_complete = asyncio.Event()
        self.requested: list[str] = []
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            data = message.json()
            if data.get("id") in self._answers:
                self._answers.pop(data["id"]).set_result(data)
            elif data.get("method") == "Network.requestWillBeSent":
                self.requested.append(data["params"]["request"]["url"])
            elif data.get("method") == "Page.loadEventFired":
                self._loaded.set()
            elif data.get("method") == "Tracing.dataCollected":
                self._traced += data["params"]["value"]
            elif data.get("method") == "Tracing.tracingComplete":
                self._trace_complete.set()

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the protocol, and return its result."""
        self._number += 1
        number = self._number
        waiting = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        answer = await waiting
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    async def open(self, url: str) -> None:
        """Load `url`, and wait until it is loaded."""
        self._loaded.clear()
        await self.command("Page.navigate", url=url)
        async with asyncio.timeout(LOADED_WITHIN_S):
            await self._loaded.wait()

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, which may be a promise."""
        answer = await self.command(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def tasks_ms(self, work: Callable[[], Awaitable[object]]) -> list[float]:
        """The CPU time, in ms, of each task of the page's main thread during `work`."""
        self._traced.clear()
        self._trace_complete.clear()
        await self.command(
            "Tracing.start", categories="toplevel,__metadata", transferMode="ReportEvents"
        )
        await work()
        await self.command("Tracing.end")
        async with asyncio.timeout(LOADED_WITHIN_S):
            await self._trace_complete.wait()
        main = {
            (event["pid"], event["tid"]) for event in self._traced
            if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
        }
        return [
            event["tdur"] / 1000 for event in self._traced
            if event["name"] == TASK and (event["pid"], event["tid"]) in main and "tdur" in event
        ]

    async def press(self, key: str) -> None:
        """Press and release a key, such as Tab."""
        for kind in ("keyDown", "keyUp"):
            await self.command("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                               windowsVirtualKeyCode={"Tab": 9, "Enter": 13}.get(key, 0))

    async def screenshot(self, path: Path) -> None:
        """Write the whole page as PNG."""
        answer = await self.command("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    async def close(self) -> None:
        """Close the page."""
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader
        await self._socket.close()
