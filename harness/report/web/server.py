"""Runs the web server of `splitbrain serve`, which shows a store of runs.

    /                           all runs, with filter, sort and search
    /-/campaigns  /-/groups     campaigns, and groups of failures
    /-/compare?run=…&run=…      the differences between two runs
    /-/live?run=…               a run in progress, with events from /-/events?run=…
    /-/operation?run=…&event=…  one operation and its steps on all members; without event, a list
    /-/playback?run=…           the states of a simulated run over time
    /index.html                 the table of runs, as it is also written for CI
    /<test>/<run>/              the list of files in a run's folder
    /<test>/<run>/report.html   the run's report; rendered for the request if it was not written
    /<test>/<run>/…             a file: JSON and logs as text, any other file as a download

The server only reads. It answers 404 for a path that leads out of the store by ".." or by a
symbolic link. It listens on loopback by default, because logs and histories may be confidential.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import msgspec
from aiohttp import web

from splitbrain.harness.errors import BadArguments, SplitbrainError
from splitbrain.harness.report.html import environment
from splitbrain.harness.report.page_file import INDEX_NAME
from splitbrain.harness.report.report_page import render_run
from splitbrain.harness.report.run_data import read_run
from splitbrain.harness.report.runs_index import render_index
from splitbrain.harness.report.web.comparison_page import read_compared, render_comparison
from splitbrain.harness.report.web.groups_page import render_campaigns, render_groups
from splitbrain.harness.report.web.live_page import LiveRun, render_live
from splitbrain.harness.report.web.operation_page import render_operation
from splitbrain.harness.report.web.runs_page import render_runs
from splitbrain.harness.store.database.sync import FolderSync
from splitbrain.harness.store.run_folder import HISTORY, REPORT, RUN

ENTRIES_MAX = 2_000
PLAYBACK_S_MAX = 300.0
LIVE_PERIOD_S = 1.0
TEXT_SUFFIXES = frozenset(
    ("", ".json", ".jsonl", ".log", ".txt", ".toml", ".xml", ".edn", ".yaml", ".yml", ".md")
)
TEXT_NAMES = frozenset(("log", "stderr", "stdout"))

STORE: web.AppKey[Path] = web.AppKey("store", Path)
SYNC: web.AppKey[FolderSync] = web.AppKey("sync", FolderSync)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder in the list of a folder."""

    name: str
    link: str
    is_folder: bool
    bytes: int


def serve(store: Path, host: str = "127.0.0.1", port: int = 8080) -> None:
    """Serve the pages of `store` over HTTP until Ctrl-C.

    With port 0, the server takes any free port. Raises BadArguments if the server cannot listen
    there, and FileNotFoundError if `store` does not exist.
    """
    pages = application(store)
    listener = listen(host, port)
    url_host = f"[{host}]" if ":" in host else host
    url_port = listener.getsockname()[1]
    print(f"http://{url_host}:{url_port}/ shows {store} (Ctrl-C stops)", flush=True)
    web.run_app(pages, sock=listener, print=None)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at `host` and `port`. Raises BadArguments if that fails."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as problem:
        raise BadArguments(
            f"cannot listen at {host} port {port}: {problem}; "
            "give an address of this machine and a free port (0 is any free port)"
        ) from problem


def application(store: Path) -> web.Application:
    """Return the aiohttp application that serves `store`.

    Raises FileNotFoundError if `store` does not exist.
    """
    if not store.is_dir():
        raise FileNotFoundError(
            f"{store} is not a folder; expected a folder of runs, which `splitbrain run` makes"
        )
    app = web.Application(middlewares=[_secure_headers])
    app[STORE] = store.resolve()
    app[SYNC] = FolderSync(app[STORE])
    app.router.add_get("/", _runs)
    app.router.add_get("/-/campaigns", _campaigns)
    app.router.add_get("/-/groups", _groups)
    app.router.add_get("/-/compare", _compare)
    app.router.add_get("/-/playback", _playback)
    app.router.add_get("/-/live", _live)
    app.router.add_get("/-/operation", _operation)
    app.router.add_get("/-/events", _events)
    app.router.add_get(f"/{INDEX_NAME}", _index)
    app.router.add_get("/{path:.+}", _path)
    return app


@web.middleware
async def _secure_headers(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Set headers that keep a browser from guessing the type of a file and running it."""
    response = await handler(request)
    if response.prepared:
        return response  # The answer is a stream, whose headers were sent already.
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response


async def _index(request: web.Request) -> web.StreamResponse:
    page = await asyncio.to_thread(render_index, request.app[STORE], live=True)
    return web.Response(text=page, content_type="text/html")


async def _runs(request: web.Request) -> web.StreamResponse:
    query = dict(request.query)
    return await _page(lambda: render_runs(request.app[STORE], request.app[SYNC], query))


async def _campaigns(request: web.Request) -> web.StreamResponse:
    return await _page(lambda: render_campaigns(request.app[STORE]))


async def _groups(request: web.Request) -> web.StreamResponse:
    return await _page(lambda: render_groups(request.app[STORE]))


async def _compare(request: web.Request) -> web.StreamResponse:
    store = request.app[STORE]
    named = request.query.getall("run", [])
    folders = [run_folder_of(store, one) for one in named]
    found = [one for one in folders if one is not None]
    if len(found) != 2 or len(named) != 2:
        raise web.HTTPBadRequest(text=f"{len(named)} runs are chosen; choose two\n")
    first, second = (read_compared(store, one) for one in found)
    return await _page(lambda: render_comparison(first, second))


async def _live(request: web.Request) -> web.StreamResponse:
    folder = _requested_run(request).relative_to(request.app[STORE]).as_posix()
    return await _page(lambda: render_live(folder))


async def _operation(request: web.Request) -> web.StreamResponse:
    folder, query = _requested_run(request), dict(request.query)
    return await _page(lambda: render_operation(request.app[STORE], folder, query))


async def _events(request: web.Request) -> web.StreamResponse:
    """Send the states of a run as server-sent events, until the run has ended."""
    run = LiveRun(_requested_run(request))
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    response.headers["Cache-Control"] = "no-store"
    await response.prepare(request)
    ended = False
    while not ended:
        state = await asyncio.to_thread(run.update)
        await response.write(b"data: " + msgspec.json.encode(state) + b"\n\n")
        ended = state.ended != "running"
        if not ended:
            await asyncio.sleep(LIVE_PERIOD_S)
    return response


def _requested_run(request: web.Request) -> Path:
    """Return the folder of the run that the query of `request` names.

    Raises HTTPNotFound if the store contains no such run.
    """
    folder = run_folder_of(request.app[STORE], request.query.get("run", ""))
    if folder is None:
        raise web.HTTPNotFound(text="the store contains no such run\n")
    return folder


async def _playback(request: web.Request) -> web.StreamResponse:
    """Return the page that replays a simulated run.

    Another process simulates the run, because the run may have a planted bug.
    """
    folder = _requested_run(request)
    program = "from splitbrain.harness.cli.main import main; main()"
    with tempfile.TemporaryDirectory(prefix="splitbrain-") as temporary:
        page = Path(temporary) / "playback.html"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, "playback", str(folder), "-o", str(page),
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )
        try:
            _, problem = await asyncio.wait_for(process.communicate(), PLAYBACK_S_MAX)
        except TimeoutError:
            raise web.HTTPGatewayTimeout(text="the simulation took too long\n") from None
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode != 0:
            raise web.HTTPBadRequest(text=problem.decode(errors="replace"))
        return web.Response(text=page.read_text(), content_type="text/html")


async def _page(render: Callable[[], str]) -> web.StreamResponse:
    try:
        text = await asyncio.to_thread(render)
    except BadArguments as problem:
        raise web.HTTPBadRequest(text=f"{problem}\n") from problem
    except SplitbrainError as problem:
        raise web.HTTPInternalServerError(text=f"{problem}\n") from problem
    return web.Response(text=text, content_type="text/html")


async def _path(request: web.Request) -> web.StreamResponse:
    store = request.app[STORE]
    requested = request.match_info["path"]
    path = within(store, requested)
    if path is None:
        raise web.HTTPNotFound(text=f"{requested[:200]} is not in this store\n")
    if await asyncio.to_thread(path.is_dir):
        if not requested.endswith("/"):
            raise web.HTTPMovedPermanently("/" + quote(requested) + "/")
        page = await asyncio.to_thread(render_folder, store, path, requested)
        return web.Response(text=page, content_type="text/html")
    if is_report(store, path):
        return await asyncio.to_thread(_report, path)
    if not path.is_file():
        raise web.HTTPNotFound(text=f"{requested[:200]} is not in this store\n")
    return _file(path)


def within(store: Path, requested: str) -> Path | None:
    """Return the resolved path of `requested` below the resolved path `store`.

    Returns None if `requested` leads out of the store or is not a valid path.
    """
    if "\0" in requested:
        return None
    try:
        path = (store / requested.lstrip("/")).resolve()
        path.stat()
    except FileNotFoundError:
        pass  # The report was not written, so it is rendered now.
    except (OSError, RuntimeError):
        return None
    return path if path.is_relative_to(store) else None


def run_folder_of(store: Path, requested: str) -> Path | None:
    """Return the folder of the run `requested` in `store`. Returns None if there is no such run."""
    path = within(store, requested)
    if path is None or len(path.relative_to(store).parts) != 2 or not is_run(path):
        return None
    return path


def is_report(store: Path, path: Path) -> bool:
    """Return whether `path` is the path of a run's report. The report need not exist."""
    depth = len(path.relative_to(store).parts)
    return path.name == REPORT and depth == 3 and is_run(path.parent)


def is_run(folder: Path) -> bool:
    """Return whether `folder` is the folder of a run."""
    return (folder / RUN).is_file() or (folder / HISTORY).is_file()


def _report(path: Path) -> web.StreamResponse:
    """Return the report of a run. If it was not written, render it from the run's other files."""
    if path.is_file():
        return web.FileResponse(path)
    return web.Response(text=render_run(read_run(path.parent)), content_type="text/html")


def _file(path: Path) -> web.StreamResponse:
    """Return a file as plain text if it is a text file, and as a download otherwise.

    Therefore the browser never renders HTML from the folder of a run.
    """
    if path.suffix in TEXT_SUFFIXES and (path.suffix or path.name in TEXT_NAMES):
        return web.FileResponse(path, headers={"Content-Type": "text/plain; charset=utf-8"})
    headers = {"Content-Type": "application/octet-stream", "Content-Disposition": "attachment"}
    return web.FileResponse(path, headers=headers)


def render_folder(store: Path, folder: Path, requested: str) -> str:
    """Return the page that lists the files in `folder`.

    The page contains no links that lead out of the store.
    """
    places = sorted(folder.iterdir(), key=lambda place: (not place.is_dir(), place.name))
    inside = [place for place in places if place.resolve().is_relative_to(store)]
    parts = [part for part in requested.split("/") if part]
    crumbs = [(part, "/" + quote("/".join(parts[: at + 1])) + "/") for at, part in enumerate(parts)]
    return (
        environment()
        .get_template("folder.html.j2")
        .render(
            title="/".join(parts),
            crumbs=crumbs,
            entries=[_entry(place) for place in inside[:ENTRIES_MAX]],
            beyond=max(0, len(inside) - ENTRIES_MAX),
            has_report=is_report(store, folder / REPORT),
        )
    )


def _entry(place: Path) -> Entry:
    is_folder = place.is_dir()
    # Without "./", a browser would take a name with a colon for a URL with a scheme.
    link = "./" + quote(place.name) + ("/" if is_folder else "")
    try:
        size = 0 if is_folder else place.stat().st_size
    except OSError:
        size = 0
    return Entry(place.name, link, is_folder, size)
