"""Calls of one function on workers: a dask cluster, or whatever speaks the interface of ``concurrent.futures``."""

from __future__ import annotations

import concurrent.futures as standard
import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

__all__ = ["Executor", "Workers"]

RETRIES = 2
"""How often a dask cluster tries a call again when its worker is lost."""


@runtime_checkable
class Executor(Protocol):
    """What runs calls: `concurrent.futures.Executor`, dask's ``client.get_executor()``, those of Lithops and others."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Start a call; the answer's ``result()`` waits for what it gives."""


class Workers:
    """Where calls run: on a dask cluster, by an executor, or (with neither) in the calling thread.

    Parameters
    ----------
    client : dask.distributed.Client, optional
        Cluster.
    executor : Executor, optional
        Threads, processes, or a service.
    """

    def __init__(self, client: Any = None, executor: Executor | None = None) -> None:
        self._client, self._executor = client, executor

    @property
    def are_elsewhere(self) -> bool:
        """Whether there is a cluster or an executor."""
        return self._client is not None or self._executor is not None

    @property
    def count(self) -> int:
        """Number of workers, as far as it is known."""
        if self._client is not None:
            return max(1, len(self._client.scheduler_info(n_workers=-1)["workers"]))
        if self._executor is None:
            return 1
        known = getattr(self._executor, "_max_workers", None)  # of the standard library's; there is no public name
        return known if isinstance(known, int) and known > 0 else os.cpu_count() or 1

    def run(self, function: Callable[..., Any], calls: Mapping[int, tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """Results of calls as they come, by number; an exception in place of the result of a call that failed."""
        if self._client is not None:
            return self._run_on_cluster(function, calls)
        if self._executor is not None:
            return self._run_by_executor(self._executor, function, calls)
        return ((number, function(*arguments)) for number, arguments in calls.items())

    def _run_on_cluster(self, function: Callable[..., Any], calls: Mapping[int, tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        distributed: Any = importlib.import_module("distributed")
        submit = self._client.submit
        futures = {submit(function, *arguments, pure=False, retries=RETRIES): number for number, arguments in calls.items()}
        try:
            for future in distributed.as_completed(futures):
                yield futures[future], future.exception() if future.status == "error" else future.result()
        except BaseException:  # an interrupt leaves no work behind
            self._client.cancel(list(futures))
            raise

    def _run_by_executor(
        self, executor: Executor, function: Callable[..., Any], calls: Mapping[int, tuple[Any, ...]]
    ) -> Iterator[tuple[int, Any]]:
        futures: dict[Any, int] = {executor.submit(function, *arguments): number for number, arguments in calls.items()}
        # futures of other makers may be known to their own service only; those are taken in order
        is_standard = all(isinstance(future, standard.Future) for future in futures)
        try:
            for future in standard.as_completed(futures) if is_standard else futures:
                try:
                    found = future.result()
                except Exception as exc:
                    found = exc
                yield futures[future], found
        except BaseException:
            for future in futures:
                cancel = getattr(future, "cancel", None)
                if cancel is not None:
                    cancel()
            raise
