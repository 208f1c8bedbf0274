"""`splitbrain serve`: the store of runs in a browser.

    /                    the index, made anew at each look
    /<test>/<run>/       what is in a run's folder
    /<test>/<run>/report.html   the run's report; made on the way if none was written
    /<test>/<run>/…      its files: JSON and logs as text, all else to be saved

Reads only, and only below the store: a path that leads out of it, by ".." or by a
link, is not found. Loopback unless told otherwise, since logs and histories are not
for everyone.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.report import NAME
from splitbrain.harness.report.index import render_index
from splitbrain.harness.report.page import environment, render
from splitbrain.harness.report.run_data import read_run

ENTRIES_MAX = 2_000
TEXT_SUFFIXES = frozenset(
    ("", ".json", ".jsonl", ".log", ".txt", ".toml", ".xml", ".edn", ".yaml", ".yml", ".md")
)
TEXT_NAMES = frozenset(("log", "stderr", "stdout"))

STORE: web.AppKey[Path] = web.AppKey("store", Path)


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    link: str
    is_folder: bool
    bytes: int


def serve(store: Path, host: str = "127.0.0.1", port: int = 8080) -> None:
    """Serve `store` until interrupted; port 0 is any free one. Raises BadArguments where
    the address cannot be had, FileNotFoundError without a store."""
    made = application(store)
    listening = listen(host, port)
    taken = listening.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    print(f"http://{shown}:{taken}/ shows {store} (Ctrl-C ends)", flush=True)
    web.run_app(made, sock=listening, print=None)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises BadArguments."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as problem:
        raise BadArguments(
            f"cannot listen at {host} port {port}: {problem}; "
            "give an address of this machine and a free port (0: any)"
        ) from problem


def application(store: Path) -> web.Application:
    """The pages as an application of aiohttp. Raises FileNotFoundError without a store."""
    if not store.is_dir():
        raise FileNotFoundError(f"{store}: expected a folder of runs, as `splitbrain run` makes")
    made = web.Application(middlewares=[_guard])
    made[STORE] = store.resolve()
    made.router.add_get("/", _index)
    made.router.add_get("/index.html", _index)
    made.router.add_get("/{path:.+}", _path)
    return made


@web.middleware
async def _guard(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """What a file of a run says it is must not make a browser run it."""
    response = await handler(request)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response


async def _index(request: web.Request) -> web.StreamResponse:
    page = await asyncio.to_thread(render_index, request.app[STORE], live=True)
    return web.Response(text=page, content_type="text/html")


async def _path(request: web.Request) -> web.StreamResponse:
    store = request.app[STORE]
    asked = request.match_info["path"]
    path = within(store, asked)
    if path is None:
        raise web.HTTPNotFound(text=f"{asked[:200]} is not in this store\n")
    if await asyncio.to_thread(path.is_dir):
        if not asked.endswith("/"):
            raise web.HTTPMovedPermanently("/" + quote(asked) + "/")
        page = await asyncio.to_thread(render_folder, store, path, asked)
        return web.Response(text=page, content_type="text/html")
    if is_report(store, path):
        return await asyncio.to_thread(_report, path)
    if not path.is_file():
        raise web.HTTPNotFound(text=f"{asked[:200]} is not in this store\n")
    return _file(path)


def within(store: Path, asked: str) -> Path | None:
    """The path that `asked` names below `store` (resolved), or None where it leads out."""
    if "\0" in asked:
        return None
    try:
        path = (store / asked.lstrip("/")).resolve()
        path.stat()
    except FileNotFoundError:
        pass  # a report that is yet to be made
    except (OSError, RuntimeError):
        return None
    return path if path.is_relative_to(store) else None


def is_report(store: Path, path: Path) -> bool:
    """Whether `path` is where the report of a run stands or would stand."""
    depth = len(path.relative_to(store).parts)
    return path.name == NAME and depth == 3 and is_run(path.parent)


def is_run(folder: Path) -> bool:
    return (folder / "run.json").is_file() or (folder / "history.jsonl").is_file()


def _report(path: Path) -> web.StreamResponse:
    """The report that was written, or else one made of what there is by now."""
    if path.is_file():
        return web.FileResponse(path)
    return web.Response(text=render(read_run(path.parent)), content_type="text/html")


def _file(path: Path) -> web.StreamResponse:
    """Text to be read, all else to be saved: a page that a run left there is not run."""
    if path.suffix in TEXT_SUFFIXES and (path.suffix or path.name in TEXT_NAMES):
        return web.FileResponse(path, headers={"Content-Type": "text/plain; charset=utf-8"})
    headers = {"Content-Type": "application/octet-stream", "Content-Disposition": "attachment"}
    return web.FileResponse(path, headers=headers)


def render_folder(store: Path, folder: Path, asked: str) -> str:
    """The page that lists `folder`; what leads out of the store is left out."""
    places = sorted(folder.iterdir(), key=lambda place: (not place.is_dir(), place.name))
    inside = [place for place in places if place.resolve().is_relative_to(store)]
    parts = [part for part in asked.split("/") if part]
    crumbs = [(part, "/" + quote("/".join(parts[: at + 1])) + "/") for at, part in enumerate(parts)]
    return (
        environment()
        .get_template("folder.html.j2")
        .render(
            place="/".join(parts),
            crumbs=crumbs,
            entries=[_entry(place) for place in inside[:ENTRIES_MAX]],
            beyond=max(0, len(inside) - ENTRIES_MAX),
            makes_report=is_report(store, folder / NAME),
        )
    )


def _entry(place: Path) -> Entry:
    is_folder = place.is_dir()
    # "./" keeps a name with a colon from being read as a scheme
    link = "./" + quote(place.name) + ("/" if is_folder else "")
    try:
        size = 0 if is_folder else place.stat().st_size
    except OSError:
        size = 0
    return Entry(place.name, link, is_folder, size)
