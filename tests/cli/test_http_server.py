"""The local server: ranges, CORS, and nothing from outside its directory."""

import http.client
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake_virtualzarr.cli.http_server import RangeServer, serve_directory
from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.storage.range_header import parse_range

CONTENT = bytes(range(200)) * 3


@pytest.fixture
def server(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "a b.bin").write_bytes(CONTENT)
    (tmp_path / "outside.txt").write_text("secret")
    (root / "link").symlink_to(tmp_path / "outside.txt")
    with serve_directory(root) as server:
        yield server


@pytest.fixture
def ask(server):
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)

    def request(path, method="GET", **headers):
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.headers, response.read()

    yield request
    connection.close()


def test_a_file_comes_whole_with_etag_size_and_cors(ask):
    status, headers, body = ask("/a%20b.bin?x=1")
    assert (status, body) == (200, CONTENT)
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert "Content-Range" in headers["Access-Control-Expose-Headers"]
    assert headers["ETag"].startswith('"')
    assert headers["Last-Modified"].endswith("GMT")


@pytest.mark.parametrize(
    ("asked", "expected", "shown"),
    [
        ("bytes=2-4", CONTENT[2:5], "bytes 2-4/600"),
        ("bytes=-3", CONTENT[-3:], "bytes 597-599/600"),
        ("bytes=598-", CONTENT[598:], "bytes 598-599/600"),
        ("bytes=590-9999", CONTENT[590:], "bytes 590-599/600"),
    ],
)
def test_a_range_comes_alone(ask, asked, expected, shown):
    status, headers, body = ask("/a%20b.bin", Range=asked)
    assert (status, body, headers["Content-Range"]) == (206, expected, shown)


def test_a_range_behind_the_end_is_refused(ask):
    status, headers, _ = ask("/a%20b.bin", Range="bytes=600-")
    assert (status, headers["Content-Range"]) == (416, "bytes */600")


def test_a_range_of_another_state_comes_whole(ask):
    _, headers, _ = ask("/a%20b.bin")
    assert ask("/a%20b.bin", Range="bytes=0-1", If_Range=headers["ETag"])[0] == 206
    assert ask("/a%20b.bin", Range="bytes=0-1", If_Range='"other"')[0] == 200


def test_head_and_preflight_have_no_body(ask):
    status, headers, body = ask("/a%20b.bin", "HEAD")
    assert (status, headers["Content-Length"], body) == (200, "600", b"")
    status, headers, _ = ask("/a%20b.bin", "OPTIONS")
    assert (status, headers["Access-Control-Allow-Headers"]) == (204, "*")


@pytest.mark.parametrize("path", ["/absent", "/", "/../outside.txt", "/%2e%2e/outside.txt", "/link", "/a%00b", "//etc/passwd"])
def test_nothing_else_is_served(ask, path):
    assert ask(path)[0] == 404


def test_the_preview_page_is_served_beside_the_directory(ask):
    status, headers, body = ask("/_preview/?store=/x.vzarr")
    assert (status, headers["Content-Type"]) == (200, "text/html")
    assert b"<html" in body
    assert ask("/_preview/preview.js")[0] == 200
    assert ask("/_preview/../errors.py")[0] == 404


def test_answers_are_counted(server, ask):
    ask("/a%20b.bin", Range="bytes=0-9")
    ask("/a%20b.bin", "HEAD")
    ask("/absent")
    assert (server.requests, server.sent) == (1, 10)
    server.reset()
    assert (server.requests, server.sent) == (0, 0)


def test_a_port_in_use_and_a_missing_directory_are_errors(server, tmp_path):
    port = server.server_address[1]
    with pytest.raises(VirtualZarrError, match=f"cannot listen on 127.0.0.1:{port}"):
        RangeServer(tmp_path, port=port)
    with pytest.raises(VirtualZarrError, match="is not a directory"):
        RangeServer(tmp_path / "absent")


@given(size=st.integers(0, 50), first=st.integers(0, 60), last=st.integers(0, 60))
def test_a_range_never_leaves_the_file(size, first, last):
    for text in (f"bytes={first}-{last}", f"bytes={first}-", f"bytes=-{last}"):
        part = parse_range(text, size)
        assert part is None or part[1] == 0 or (part[0] >= 0 and part[0] + part[1] <= size)


@pytest.mark.parametrize("text", ["bytes=-", "bytes=5-2", "items=0-1", "bytes=0-1,3-4", "bytes=a-b", ""])
def test_what_is_no_single_range_is_answered_whole(text):
    assert parse_range(text, 10) is None


@pytest.mark.parametrize("host", ["localhost:{port}", "127.0.0.1:{port}", "LOCALHOST", "[::1]:{port}", "x.localhost:{port}"])
def test_names_of_this_machine_are_answered(ask, server, host):
    assert ask("/a%20b.bin", Host=host.format(port=server.server_port))[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", "localhost.evil", ""])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_another_host_is_not_answered(ask, host, method):
    status, headers, body = ask("/a%20b.bin", method, Host=host)
    assert (status, body) == (421, b"")
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("path", ["/.env", "/.git/config", "/sub/.hidden/a.bin", "/%2eenv", "/sub/../.env"])
def test_dotfiles_are_not_served(ask, server, path):
    for name in (".env", ".git/config", "sub/.hidden/a.bin"):
        file = server.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("secret")
    assert ask(path)[0] == 404


@pytest.mark.parametrize(
    "asked",
    ["bytes=", "bytes=-", "bytes=a-b", "bytes=1-2,4-5", "items=0-1", "bytes=5-1", "bytes=--5", "", "bytes=\u0661-\u0662",
     "bytes=1e3-", "bytes=" + "9" * 5000 + "-", "bytes=-" + "9" * 5000],
)  # fmt: skip
def test_odd_ranges_come_whole(ask, asked):
    status, _, body = ask("/a%20b.bin", Range=asked.encode().decode("latin-1"))
    assert (status, body) == (200, CONTENT)


@pytest.mark.parametrize("asked", ["bytes=600-", "bytes=99999999-", "bytes=-0"])
def test_ranges_behind_the_end_have_no_bytes(ask, asked):
    assert ask("/a%20b.bin", Range=asked)[0] == 416


def test_a_name_that_is_too_long_is_not_found(ask):
    assert ask("/" + "a" * 5000)[0] == 404


def test_many_connections_wait_and_idle_ones_end(server):
    assert server.request_queue_size >= 128
    assert server.RequestHandlerClass.timeout <= 60
