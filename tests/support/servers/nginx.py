"""nginx for a directory: byte ranges, CORS, ETags, as static data are commonly served."""

import shutil
import signal
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.servers.process import find_program, free_port, listens, running

CONFIGURATION = """
daemon off;
master_process off;
worker_processes 1;
pid {state}/nginx.pid;
error_log stderr;
events {{ worker_connections 256; }}
http {{
  access_log {state}/access.log;
  client_body_temp_path {state}/body;
  proxy_temp_path {state}/proxy;
  fastcgi_temp_path {state}/fastcgi;
  uwsgi_temp_path {state}/uwsgi;
  scgi_temp_path {state}/scgi;
  types {{ application/json json; application/yaml yaml; image/png png; text/html html; text/javascript js; }}
  default_type application/octet-stream;
  server {{
    listen 127.0.0.1:{port};
    root {root};
    location / {{
      {headers}
      {extra}
    }}
  }}
}}
"""


CORS = """
      if ($request_method = OPTIONS) {
        add_header Access-Control-Allow-Origin * always;
        add_header Access-Control-Allow-Methods "GET, HEAD, OPTIONS" always;
        add_header Access-Control-Allow-Headers "Range" always;
        return 204;
      }
      add_header Access-Control-Allow-Origin * always;
      add_header Access-Control-Expose-Headers "Content-Range, Content-Length, Accept-Ranges, ETag" always;
"""
"""What lets pages of other origins read."""


@contextmanager
def nginx(root, extra="", *, cors=True):
    """Serve a directory; yields the URL and the file with the log of requests."""
    program = find_program("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed (apt-get install nginx-light)")
    with tempfile.TemporaryDirectory(prefix="nginx-") as name:
        state, port = Path(name), free_port()
        configuration = state / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(state=state, port=port, root=root, extra=extra, headers=CORS if cors else ""))
        command = [program, "-c", str(configuration), "-e", "stderr", "-p", str(state)]
        with running(command, state / "log", lambda: listens(port), stop=signal.SIGTERM):
            yield f"http://127.0.0.1:{port}", state / "access.log"
