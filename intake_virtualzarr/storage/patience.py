"""How long servers are waited for: retries with jitter, ``Retry-After``, and time-outs that say what happened."""

from __future__ import annotations

import asyncio
import os
import random
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.errors import SourceError, VirtualZarrError
from intake_virtualzarr.storage.url_secrets import redact, shown_cause

__all__ = ["IDLE_VARIABLE", "PATIENCE_VARIABLE", "Patience", "patience_of"]

PATIENCE_VARIABLE = "INTAKE_VIRTUALZARR_PATIENCE"
"""Environment variable: seconds for which a request is repeated."""
IDLE_VARIABLE = "INTAKE_VIRTUALZARR_IDLE_TIMEOUT"
"""Environment variable: seconds without a byte after which a request is given up."""

BUSY = re.compile(r"\b(429|502|503|504) [A-Z]")
"""Statuses of servers that will answer later."""
FAILED = re.compile(r"\b(408|425|500) [A-Z]|error sending request|connection|error decoding|IncompleteMessage|body", re.IGNORECASE)
"""What may have been an accident of one request."""
SLOWEST = 16 * 1024
"""A body that comes slower than this hangs [bytes/s]."""
FEW = 4
"""Tries where the server does not say that it is busy: a port where nothing listens should not take a minute."""
FIRST_WAIT, LONGEST_WAIT = 0.25, 10.0
"""Waiting time before the second try, doubled each time up to the second [s]."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one request is waited for.

    Attributes
    ----------
    total : float
        Time for which a request is repeated while the server is busy [s].
    idle : float
        Time without a byte after which a request is given up [s].
    """

    total: float = 75.0
    idle: float = 30.0

    async def request[T](
        self,
        url: str,
        attempt: Callable[[], Awaitable[T]],
        nbytes: int = 0,
    ) -> T:
        """Make a request until it succeeds, fails for good, or patience ends.

        Parameters
        ----------
        url : str
            For messages.
        attempt : callable
            Makes the request once. An error of it may hold ``retry_after``, what a busy server asks to wait [s].
        nbytes : int
            Bytes that are expected: large answers may take longer.

        Raises
        ------
        SourceError
            If the server hangs, or was busy for all the time; other errors as ``attempt`` raises them.
        """
        start, tries, wait = time.monotonic(), 0, FIRST_WAIT
        limit = self.idle + nbytes / SLOWEST
        while True:
            tries += 1
            began = time.monotonic()
            try:
                async with asyncio.timeout(limit):
                    return await attempt()
            except VirtualZarrError:
                raise
            except Exception as exc:
                lasted = time.monotonic() - began
                reason = _reason(exc, lasted)
                spent = time.monotonic() - start
                busy = reason is not None and BUSY.search(str(exc)) is not None
                if reason is None:
                    raise
                pause = wait * random.uniform(0.5, 1.0)
                pause = max(pause, getattr(exc, "retry_after", None) or 0.0)
                more = self.total - spent - pause - (limit if isinstance(exc, TimeoutError) else 0.0)
                if more < 0 or (not busy and tries >= FEW):
                    spent = time.monotonic() - start
                    count = f"{tries} {'try' if tries == 1 else 'tries'} in {spent:.0f} s"
                    raise SourceError(f"{url}: {reason}, {count}") from shown_cause(exc)
            await asyncio.sleep(pause)
            wait = min(2 * wait, LONGEST_WAIT)


def _reason(exc: Exception, lasted: float) -> str | None:
    """What went wrong, if it may go well another time."""
    text = redact(str(exc).split("\n\nDebug source")[0])
    if isinstance(exc, TimeoutError) or "timed out" in text or "operation timed out" in text:
        return f"timed out after {lasted:.0f} s without a byte (or with too few)"
    if isinstance(exc, FileNotFoundError | PermissionError):
        return None
    found = BUSY.search(text)
    if found is not None:
        return f"the server is busy ({found.group(1)})"
    found = FAILED.search(text)
    return None if found is None else f"failed ({text.splitlines()[0][:300]})"


def patience_of(options: JsonObject) -> Patience:
    """Patience of a prefix: its options ``patience`` and ``idle_timeout``, else the environment, else the defaults."""
    default = Patience()
    return Patience(
        _seconds(options.get("patience", os.environ.get(PATIENCE_VARIABLE)), default.total, "patience"),
        _seconds(options.get("idle_timeout", os.environ.get(IDLE_VARIABLE)), default.idle, "idle_timeout"),
    )


def _seconds(value: object, default: float, name: str) -> float:
    if value is None or value == "":
        return default
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 86400:
        raise VirtualZarrError(f"{name} is {value!r}, expected seconds of at most a day")
    return seconds
