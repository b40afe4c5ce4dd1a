"""A full STAC API: PostgreSQL with PostGIS and pgstac, served by stac-fastapi."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.servers.process import find_program, free_port, running

DATABASE = "pgstac"


@contextmanager
def pgstac_api(collections, items):
    """Serve collections and items; yields the URL of the landing page and a function that loads more items."""
    bin_directory = _postgres()
    for module in ("pypgstac", "stac_fastapi.pgstac", "uvicorn"):
        if not _has(module):
            pytest.skip(f"{module} is not installed (pip install 'intake-virtualzarr[servers]')")
    with _database(bin_directory) as environment:
        _load(environment, "collections", collections)
        _load(environment, "items", items)
        port = free_port()
        with tempfile.TemporaryDirectory(prefix="stac-api-") as state:
            command = [
                *(sys.executable, "-m", "uvicorn", "stac_fastapi.pgstac.app:create_app", "--factory"),
                *("--host", "127.0.0.1", "--port", str(port)),
            ]
            url = f"http://127.0.0.1:{port}"
            with running(command, Path(state) / "log", lambda: _answers(url), env=environment, cwd=state):
                yield url, lambda more: _load(environment, "items", more)


def _has(module):
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it
        return False


def _postgres():
    """Directory of PostgreSQL's programs."""
    directories = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    for directory in directories:
        share = Path("/usr/share/postgresql") / directory.parent.name / "extension" / "postgis.control"
        if (directory / "initdb").exists() and share.exists():
            return directory
    if (program := find_program("initdb")) is not None:
        return Path(program).resolve().parent
    pytest.skip("PostgreSQL with PostGIS is not installed (apt-get install postgresql-15-postgis-3)")


def _owner():
    """Options for `subprocess` to run as somebody whom initdb does not refuse, and that user's ids."""
    if os.geteuid() != 0:
        return {}, None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}, entry
    pytest.skip("initdb refuses root, and there is neither a user 'postgres' nor 'nobody'")


@contextmanager
def _database(programs):
    """An empty pgstac database in a cluster of its own; yields the environment in which clients find it."""
    options, entry = _owner()
    state = Path(tempfile.mkdtemp(prefix="pg-"))  # short: the path of a socket has at most 107 bytes
    try:
        if entry is not None:
            os.chown(state, entry.pw_uid, entry.pw_gid)
        data, port = state / "data", free_port()
        initdb = [programs / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"]
        _run(initdb, cwd=state, **options)
        environment = {
            **os.environ,
            "PGHOST": "127.0.0.1",
            "PGPORT": str(port),
            "PGUSER": "postgres",
            "PGPASSWORD": "unused",
            "PGDATABASE": DATABASE,
        }
        command = [
            *(str(programs / "postgres"), "-D", str(data), "-p", str(port), "-k", str(state)),
            *("-h", "127.0.0.1", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=64MB"),
        ]
        ready = [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-d", "postgres", "-U", "postgres"]

        def is_ready():
            return subprocess.run(ready, capture_output=True, check=False).returncode == 0

        with running(command, state / "log", is_ready, stop=signal.SIGQUIT, cwd=state, **options):
            _run([programs / "createdb", DATABASE], env=environment)
            _run([programs / "psql", "-q", "-c", "create extension postgis"], env=environment)
            _run([sys.executable, "-m", "pypgstac.pypgstac", "migrate"], env=environment)
            yield environment
    finally:
        shutil.rmtree(state, ignore_errors=True)


def _load(environment, table, documents):
    with tempfile.TemporaryDirectory(prefix="ndjson-") as directory:
        path = Path(directory) / f"{table}.ndjson"
        path.write_text("".join(json.dumps(one) + "\n" for one in documents))
        _run([sys.executable, "-m", "pypgstac.pypgstac", "load", table, path, "--method", "upsert"], env=environment)


def _run(command, **options):
    done = subprocess.run([str(one) for one in command], capture_output=True, text=True, check=False, timeout=120, **options)
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} {command[1:3]} ended with {done.returncode}:\n{done.stderr[-3000:]}")


def _answers(url):
    try:
        with urllib.request.urlopen(f"{url}/collections", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False
