"""Settings of the process: how many threads decode, and whether zarr-python reads our stores by the fast pipeline."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, replace
from enum import Enum
from types import TracebackType
from typing import Final, Literal

from intake_virtualzarr.errors import VirtualZarrError

__all__ = ["PIPELINE_VARIABLE", "THREADS_VARIABLE", "Config", "RestoreSettings", "Settings", "config"]

THREADS_VARIABLE = "INTAKE_VIRTUALZARR_THREADS"
"""Environment variable with the number of decoding threads."""
PIPELINE_VARIABLE = "INTAKE_VIRTUALZARR_PIPELINE"
"""Environment variable; ``0`` leaves zarr-python's own pipeline in place."""


class _Unchanged(Enum):
    """The default of `Config.set`, where None has a meaning of its own."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = _Unchanged.UNCHANGED
type _OrUnchanged[T] = T | Literal[_Unchanged.UNCHANGED]


@dataclass(frozen=True, slots=True)
class Settings:
    """What was set; None is the default."""

    threads: int | None = None
    """Number of decoding threads; default: the environment variable, else the usable cores."""
    fast_pipeline: bool | None = None
    """Whether stores are read by the fast pipeline; default: yes, unless the environment variable says ``0``."""

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise VirtualZarrError(f"{self.threads} decoding threads; at least 1 is needed")


class Config:
    """Settings of the process, shared by all threads.

    Examples
    --------
    >>> with config.set(threads=2):
    ...     config.threads
    2
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._settings = Settings()

    @property
    def settings(self) -> Settings:
        """What was set, as one frozen value."""
        return self._settings

    @property
    def threads(self) -> int:
        """Number of threads that decode chunks."""
        count = self._settings.threads
        return count if count is not None else _default_threads()

    @property
    def fast_pipeline(self) -> bool:
        """Whether zarr-python reads arrays of a `VirtualZarrStore` by the fast pipeline."""
        active = self._settings.fast_pipeline
        return active if active is not None else os.environ.get(PIPELINE_VARIABLE) != "0"

    def set(
        self, *, threads: _OrUnchanged[int | None] = UNCHANGED, fast_pipeline: _OrUnchanged[bool | None] = UNCHANGED
    ) -> RestoreSettings:
        """Change settings; what is not named stays.

        Parameters
        ----------
        threads : int, optional
            Number of decoding threads; None returns to the environment variable ``INTAKE_VIRTUALZARR_THREADS``, else the
            usable cores.
        fast_pipeline : bool, optional
            Whether zarr-python reads stores that are opened from now on by the fast pipeline; None returns to the default:
            yes, unless the environment variable ``INTAKE_VIRTUALZARR_PIPELINE`` is ``0``.

        Returns
        -------
        context manager
            ``with config.set(threads=2): …`` returns to the settings before at its end, of all threads. Without ``with``
            the change stays.

        Raises
        ------
        VirtualZarrError
            If the number of threads is below 1.
        """
        with self._lock:
            before = self._settings
            after = before
            if threads is not UNCHANGED:
                after = replace(after, threads=threads)
            if fast_pipeline is not UNCHANGED:
                after = replace(after, fast_pipeline=fast_pipeline)
            self._settings = after
        return RestoreSettings(
            self,
            UNCHANGED if threads is UNCHANGED else before.threads,
            UNCHANGED if fast_pipeline is UNCHANGED else before.fast_pipeline,
        )

    def __repr__(self) -> str:
        return f"<intake_virtualzarr config: threads={self.threads}, fast_pipeline={self.fast_pipeline}>"


@dataclass(frozen=True, slots=True)
class RestoreSettings:
    """Context manager that returns to the values before, of the settings that were changed."""

    config: Config
    threads: _OrUnchanged[int | None]
    fast_pipeline: _OrUnchanged[bool | None]

    def __enter__(self) -> Config:
        return self.config

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.config.set(threads=self.threads, fast_pipeline=self.fast_pipeline)


def _default_threads() -> int:
    text = os.environ.get(THREADS_VARIABLE)
    if text:
        if not text.isdigit() or int(text) < 1:
            raise VirtualZarrError(f"{THREADS_VARIABLE} is {text!r}, expected a number of threads of at least 1")
        return int(text)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


config = Config()
"""The settings of this process."""
