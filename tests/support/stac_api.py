"""A STAC API made on the fly: any number of items, pages, faults."""

import datetime as dt
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

CONFORMS_TO = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/item-search",
]


def make_item(number, url):
    """An hourly item, newest first as pgstac gives them."""
    time = dt.datetime(2000, 1, 1) + dt.timedelta(hours=number)
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": f"sst-{number:06d}",
        "collection": "sst",
        "bbox": [-180.0, -90.0, 180.0, 90.0],
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[-180, -90], [180, -90], [180, 90], [-180, 90], [-180, -90]]],
        },
        "properties": {
            "datetime": f"{time.isoformat()}Z",
            "platform": "synthetic",
            "serial": number,
        },
        "links": [{"rel": "self", "href": f"{url}/collections/sst/items/sst-{number:06d}"}],
        "assets": {
            "data": {
                "href": f"https://data.example.com/archive/sst/{number:06d}.nc",
                "type": "application/x-netcdf",
                "roles": ["data"],
                "file:size": 90_000 + number,
            },
            "thumbnail": {"href": f"https://data.example.com/{number}.png", "type": "image/png"},
        },
    }


class Api:
    """What the server serves, and what it was asked."""

    def __init__(self, count, page_size, *, empty_pages=(), faults=(), conforms_to=CONFORMS_TO, methods=("GET", "POST")):
        self.count = count
        self.page_size = page_size
        self.empty_pages = set(empty_pages)
        """Numbers of pages that come without items, but with a next link."""
        self.faults = list(faults)
        """Status codes that the next searches are answered with."""
        self.conforms_to = conforms_to
        self.methods = methods
        self.searches = []
        self.url = ""

    def landing_page(self):
        return {
            "type": "Catalog",
            "stac_version": "1.1.0",
            "id": "api",
            "description": "Generated.",
            "conformsTo": self.conforms_to,
            "links": [
                {"rel": "self", "href": self.url, "type": "application/json"},
                {"rel": "root", "href": self.url, "type": "application/json"},
                *(
                    {
                        "rel": "search",
                        "href": f"{self.url}/search",
                        "type": "application/geo+json",
                        "method": method,
                    }
                    for method in self.methods
                ),
            ],
        }

    def page(self, number):
        start = (number - sum(empty < number for empty in self.empty_pages)) * self.page_size
        stop = start if number in self.empty_pages else min(start + self.page_size, self.count)
        link = {"rel": "next", "href": f"{self.url}/search?token={number + 1}", "method": "GET"}
        if "POST" in self.methods:
            link = {
                "rel": "next",
                "href": f"{self.url}/search",
                "method": "POST",
                "merge": True,
                "body": {"token": str(number + 1)},
            }
        return {
            "type": "FeatureCollection",
            "features": [make_item(self.count - 1 - at, self.url) for at in range(start, stop)],
            "links": [link] if stop < self.count else [],
        }


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        api = self.server.api
        parts = urlsplit(self.path)
        if parts.path == "/search":
            query = dict(parse_qsl(parts.query))
            api.searches.append(query)
            self.reply(200, api.page(int(query.get("token", 0))))
        else:
            self.reply(200, api.landing_page())

    def do_POST(self):
        api = self.server.api
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        api.searches.append(body)
        if api.faults:
            self.reply(api.faults.pop(0), {"code": "busy"})
        else:
            self.reply(200, api.page(int(body.get("token", 0))))

    def reply(self, status, document):
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if status == 429:
            self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@contextmanager
def serve(api):
    """Serve an `Api` on a free port of this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.api = api
        api.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
