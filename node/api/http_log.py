"""Converts aiohttp's log records to lines of the member's log.

aiohttp logs a traceback for each request that it cannot parse. Such a request is a mistake of the
client, so the member logs one line with the client's address and the reason.
"""

from __future__ import annotations

import logging
import traceback

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError

from splitbrain.node.api.member_interface import Log

MALFORMED = "malformed HTTP request"


class MemberLogHandler(logging.Handler):
    """Writes one line to the member's log for each record of aiohttp's server."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.DEBUG)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        problem = record.exc_info[1] if record.exc_info else None
        if isinstance(problem, HttpProcessingError):
            self._log(
                "warn", MALFORMED, client=_client(record), why=_reason(problem)
            )
        elif isinstance(problem, RequestPayloadError):
            pass  # The handler of the request answers and logs this error.
        elif problem is not None:
            self._log(
                "error", record.getMessage(), traceback="".join(traceback.format_exception(problem))
            )
        elif record.levelno >= logging.WARNING:
            self._log("warn", record.getMessage())


def _client(record: logging.LogRecord) -> str:
    arguments = record.args if isinstance(record.args, tuple) else ()
    return str(arguments[0]) if arguments else "unknown"


def _reason(problem: HttpProcessingError) -> str:
    """Return the first line of aiohttp's message.

    Its other lines quote the bytes of the request.
    """
    lines = problem.message.strip().splitlines()
    return lines[0].rstrip(":") if lines else type(problem).__name__


def http_logger(log: Log) -> logging.Logger:
    """Return the logger for one server. It writes each record to `log`.

    The logger is not registered in `logging`, so two members in one process do not share it.
    """
    logger = logging.Logger("http", logging.DEBUG)
    logger.addHandler(MemberLogHandler(log))
    return logger
