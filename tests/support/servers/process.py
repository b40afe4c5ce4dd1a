"""Server programs as child processes: started on a free port, waited for, ended by their id."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

WAIT = 60.0
"""How long a server may take to come up [s]."""


def find_program(name):
    """A program beside this Python, or on the path; ``None`` if it is not installed."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def free_port():
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port):
    """Whether somebody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(command, log, is_ready, *, stop=signal.SIGTERM, **options):
    """Run a server until the block ends.

    ``is_ready()`` is asked until it is true. What the server prints goes into the file ``log``, whose end is shown if it does
    not come up. ``options`` are those of `subprocess.Popen`.
    """
    with open(log, "wb") as out:
        # A process group of its own: servers with children are ended with them.
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, process_group=0, **options)
    try:
        until = time.monotonic() + WAIT
        while not is_ready():
            if process.poll() is not None:
                raise RuntimeError(f"{command[0]} ended with {process.returncode}:\n{_end_of(log)}")
            if time.monotonic() > until:
                raise RuntimeError(f"{command[0]} is not ready after {WAIT:.0f} s:\n{_end_of(log)}")
            time.sleep(0.1)
        yield process
    finally:
        _end(process, stop)


def _end(process, stop):
    if process.poll() is None:
        os.kill(process.pid, stop)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)


def _end_of(log):
    return Path(log).read_text(errors="replace")[-3000:]
