"""STAC APIs as they are: slow, busy, paged in odd ways, deaf to filters."""

import subprocess
import sys
import warnings

import pystac_client
import pytest
from pystac_client.stac_api_io import StacApiIO
from pystac_client.warnings import DoesNotConformTo
from support.stac_api import Api, serve
from urllib3 import Retry

from intake_virtualzarr.errors import NothingFoundError, StacError
from intake_virtualzarr.stac.client import open_client, search
from intake_virtualzarr.stac.find_sources import FilterIgnoredWarning, find_sources, iter_sources

DEAF = pytest.mark.filterwarnings("ignore::intake_virtualzarr.stac.find_sources.FilterIgnoredWarning")


def client_of(api):
    return open_client(api.url, backoff=0.0)


def ids(sources):
    return [one.item_id for one in sources]


def test_a_search_gives_ordered_sources_whatever_the_order_of_the_server():
    with serve(Api(10, 4)) as api:
        sources = find_sources(client_of(api).search(collections=["sst"]))
    assert ids(sources) == [f"sst-{number:06d}" for number in range(10)]
    assert len(api.searches) == 3


@pytest.mark.parametrize("fault", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(fault):
    with serve(Api(6, 4, faults=[fault, fault])) as api:
        assert len(find_sources(client_of(api).search())) == 6
    assert len(api.searches) == 4


def test_a_client_that_somebody_else_opened_is_patient_for_us_and_stays_as_it_is():
    with serve(Api(6, 4, faults=[503])) as api:
        client = pystac_client.Client.open(api.url)
        before = dict(client._stac_io.session.adapters)
        assert len(find_sources(client.search())) == 6
        assert len(api.searches) == 3
        assert client._stac_io.session.adapters == before
        api.faults = [503]
        with pytest.raises(pystac_client.exceptions.APIError):
            list(client.search().items())


def test_retries_that_the_owner_of_a_client_chose_are_kept():
    chosen = StacApiIO(max_retries=Retry(total=1, status_forcelist=[500], allowed_methods=None, raise_on_status=False))
    with serve(Api(6, 4, faults=[503])) as api, pytest.raises(StacError, match="answered 503"):
        find_sources(pystac_client.Client.open(api.url, stac_io=chosen).search())
    assert len(api.searches) == 1


@pytest.mark.parametrize("empty", [[], [1]])
def test_a_whole_api_is_listed_by_its_search(empty):
    with serve(Api(10, 4, empty_pages=empty, faults=[503])) as api:
        assert len(find_sources(pystac_client.Client.open(api.url))) == 10


def test_a_server_that_stays_down_is_an_error_with_its_answer():
    with serve(Api(6, 4, faults=[503] * 9)) as api, pytest.raises(StacError, match="the STAC API answered"):
        find_sources(open_client(api.url, retries=2, backoff=0.0).search())


def test_a_bad_request_is_not_repeated():
    with serve(Api(6, 4, faults=[400])) as api, pytest.raises(StacError, match="answered 400"):
        find_sources(client_of(api).search())
    assert len(api.searches) == 1


@pytest.mark.parametrize("empty", [[0], [1], [1, 2], [0, 3]])
def test_an_empty_page_with_a_next_link_is_not_the_last(empty):
    with serve(Api(10, 4, empty_pages=empty)) as api:
        assert len(find_sources(client_of(api).search())) == 10
        # A client that somebody else opened is followed just as far.
        assert len(find_sources(pystac_client.Client.open(api.url).search())) == 10
        assert len(list(client_of(api).search().items_as_dicts())) == 10


def test_a_next_link_that_leads_nowhere_ends_in_an_error(monkeypatch):
    api = Api(10, 4)
    page = api.page(0)
    monkeypatch.setattr(api, "page", lambda number: page)
    with serve(api):
        page["links"][0]["href"] = f"{api.url}/search"
        found = client_of(api).search()
        with pytest.raises(StacError, match="leads to the same page again"):
            find_sources(found)


def test_max_items_is_respected():
    with serve(Api(10, 4)) as api:
        assert len(find_sources(client_of(api).search(max_items=5))) == 5
    assert len(api.searches) == 2


def test_an_empty_search_names_what_was_asked_for():
    with (
        serve(Api(0, 4)) as api,
        pytest.raises(NothingFoundError, match=r"no items found for .*collections=\['sst'\]|collections=\('sst',\)"),
    ):
        find_sources(client_of(api).search(collections=["sst"]))


def test_items_that_were_not_asked_for_are_left_out_with_a_warning():
    with serve(Api(48, 10)) as api:
        found = client_of(api).search(datetime="2000-01-02")
        with pytest.warns(FilterIgnoredWarning, match=r"24 items, 'sst-000023' first, do not match .*2000-01-02"):
            assert len(find_sources(found)) == 24


@DEAF
def test_nothing_is_left_of_a_search_elsewhere():
    with serve(Api(4, 10)) as api, pytest.raises(NothingFoundError):
        find_sources(client_of(api).search(datetime="1999-01-01"))


def test_a_filter_that_the_server_ignores_is_refused():
    with serve(Api(4, 10)) as api:
        client = client_of(api)
        with pytest.raises(StacError, match=r"does not conform to FILTER.*allow_unfiltered=True"):
            search(client, filter={"op": "=", "args": [{"property": "a"}, 1]})
        with pytest.warns(DoesNotConformTo, match="FILTER"):
            search(client, filter={"op": "=", "args": [{"property": "a"}, 1]}, allow_unfiltered=True)


def test_a_sort_order_that_the_server_ignores_does_no_harm():
    with serve(Api(4, 10)) as api, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(find_sources(search(client_of(api), sortby="datetime"))) == 4


def test_a_server_that_knows_get_only_is_asked_with_get():
    with serve(Api(10, 4, methods=("GET",))) as api, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(find_sources(search(client_of(api)))) == 10


def test_a_server_without_search_is_refused():
    with (
        serve(Api(1, 1, conforms_to=["https://api.stacspec.org/v1.0.0/core"])) as api,
        pytest.raises(StacError, match="the server offers no item search"),
    ):
        search(client_of(api))


def test_an_address_without_an_api_is_an_error():
    with serve(Api(1, 1)) as api:
        url = api.url
    with pytest.raises(StacError, match="no STAC API"):
        open_client(url, retries=0)


def test_a_modifier_of_the_client_signs_and_the_signature_is_not_kept():
    def sign(page):
        for feature in page["features"]:
            feature["assets"]["data"]["href"] += "?sig=abc"

    with serve(Api(3, 2)) as api:
        sources = find_sources(open_client(api.url, modifier=sign, backoff=0.0).search())
    assert all(one.signed_href.endswith("?sig=abc") for one in sources)
    assert not any("sig" in one.href for one in sources)


def test_items_are_streamed_page_by_page():
    with serve(Api(100, 10)) as api:
        stream = iter_sources(client_of(api).search())
        assert next(stream).item_id == "sst-000099"
        assert len(api.searches) == 1


STREAM = """
import resource, sys
from intake_virtualzarr.stac.client import open_client
from intake_virtualzarr.stac.find_sources import find_sources, iter_sources

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

client = open_client(sys.argv[1])
assert len(find_sources(client.search(max_items=2000))) == 2000
before = peak()
if sys.argv[2] == "stream":
    count = sum(1 for _ in iter_sources(client.search()))
else:
    count = len(find_sources(client.search()))
print(count, peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["stream", "hold"])
def test_a_hundred_thousand_items_take_less_than_a_hundred_megabytes(how):
    with serve(Api(100_000, 1000)) as api:
        command = [sys.executable, "-c", STREAM, api.url, how]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
    count, growth = run.stdout.split()
    print(f"{how}: {float(growth):.0f} MB")
    assert int(count) == 100_000
    assert float(growth) < 100
