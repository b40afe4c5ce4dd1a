"""Where references may point, how prefixes are compared, and what is secret in a URL."""

from __future__ import annotations

import pickle

import pytest

from intake_virtualzarr.errors import JoinError, NotAllowedError, SourceError, VirtualZarrError
from intake_virtualzarr.storage.options import Access, merged_access
from intake_virtualzarr.storage.places import fits, is_network, origin
from intake_virtualzarr.storage.policy import ENVIRONMENT, Policy, allow_list
from intake_virtualzarr.storage.readers import open_reader
from intake_virtualzarr.storage.source import Source, unify_tables
from intake_virtualzarr.storage.url_secrets import redact, shown_cause, strip_signed, strip_url


@pytest.mark.parametrize(
    ("prefix", "url", "expected"),
    [
        ("https://h/archive", "https://h/archive/a.nc", True),
        ("https://h/archive/", "https://h/archive", True),
        ("https://h/archive", "https://h/archive-private/a.nc", False),
        ("http://h:80", "http://h/a.nc", True),
        ("http://h:80", "http://h:8080/a.nc", False),
        ("https://good", "https://good@evil/a.nc", False),
        ("https://good", "https://good.evil.org/a.nc", False),
        ("https://good", "http://good/a.nc", False),
        ("https://good", "https://GOOD/a.nc", True),
        ("https://good/a", "https://good/a/../b", False),
        ("https://good/a", "https://good/a/%2e%2e/b", False),
        ("https://good/a", "https://good/a/..%2fb", False),
        ("https://good", "https://good\\@evil/a", False),
        ("https://evil", "https://good\\@evil/a", False),
        ("https://h", "https://h/\ta", False),
        ("s3://", "s3://any/a", True),
        ("s3://b", "s3a://b/a", True),
        ("s3://b", "s3://bb/a", False),
        ("file:///data", "file:///data/x/../../etc/passwd", False),
        ("file:///data", "file://localhost/data/a", True),
        ("file:///", "simplecache::file:///a", False),
        ("simplecache::file:///data", "simplecache::file:///data/a", True),
        ("https://[::1]:8", "https://[::1]:8/a", False),
    ],
)
def test_prefixes_fit_by_host_port_and_whole_segments(prefix, url, expected):
    assert fits(prefix, url) is expected


@pytest.mark.parametrize("url", ["file:///a", "local:///a", "/a", "memory://a", "simplecache::file:///a", "zip://a::/b.zip"])
def test_what_lies_here_is_not_from_a_network(url):
    assert not is_network(url)


@pytest.mark.parametrize("url", ["http://h/a", "s3://b/a", "simplecache::http://h/a", "github://o:r@/a", "zip://a::ftp://h/b.zip"])
def test_what_lies_elsewhere_is_from_a_network(url):
    assert is_network(url)


def test_the_place_of_a_bucket_is_the_directory_of_the_document():
    policy = Policy().asked_by("s3://bucket/archive/store.vzarr")
    assert origin("s3://bucket/archive/store.vzarr") == "s3://bucket/archive/"
    assert policy.permits("s3://bucket/archive/2024/a.nc")
    assert not policy.permits("s3://bucket/archive-private/a.nc")
    assert not policy.permits("s3://other/archive/a.nc")


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd", "local:///etc/passwd", "/etc/passwd", "file:/etc/passwd", "FILE:///etc/passwd",
        "simplecache::file:///etc/passwd", "simplecache::https://h/a", "https://h:8443/a", "http://h/a", "https://g/a",
        "https://h@g/a", "https://h\\@g/a", "s3://h/a", "memory://a", "zip://a::https://h/a.zip", "//g/a",
    ],
)  # fmt: skip
def test_a_document_from_a_network_names_its_own_place_only(target):
    policy = Policy().asked_by("https://h/store.vzarr")
    assert not policy.permits(target)
    with pytest.raises(NotAllowedError, match=r"h/store\.vzarr"):
        policy.check(target)


def test_local_documents_and_users_name_anything():
    for policy in (Policy(), Policy().asked_by("file:///data/store.vzarr"), Policy().asked_by("memory://x")):
        policy.check("file:///etc/passwd", "https://anywhere/a", "simplecache::s3://b/a")


def test_a_part_of_the_same_place_does_not_narrow_what_may_be_named():
    policy = Policy().asked_by("s3://b/archive/store.vzarr").asked_by("s3://b/archive/store.vzarr/v/parts")
    assert policy.permits("s3://b/archive/a.nc")


def test_the_error_permits_itself():
    policy = Policy().asked_by("https://h/store.vzarr")
    targets = ["https://data.example.org/x/a.nc", "s3://bucket/y/b.nc", "file:///etc/passwd"]
    with pytest.raises(NotAllowedError, match="and 2 other places") as caught:
        policy.check(*targets)
    allow = eval(str(caught.value).partition("allow=")[2])
    Policy(allow_list(allow)).asked_by("https://h/store.vzarr").check(*targets)
    assert allow == ["file:///etc/passwd", "https://data.example.org/x/", "s3://bucket/y/"]


def test_many_places_are_suggested_by_host():
    with pytest.raises(NotAllowedError, match=r"allow=\['s3://bucket/'\]"):
        Policy().asked_by("https://h/s").check(*(f"s3://bucket/{day}/a.nc" for day in range(9)))


def test_the_environment_allows(monkeypatch):
    policy = Policy().asked_by("https://h/s")
    monkeypatch.setenv(ENVIRONMENT, "s3://a/ https://b/x")
    assert policy.permits("s3://a/c")
    assert policy.permits("https://b/x/c")
    assert not policy.permits("https://b/y")


def test_a_reader_is_not_opened_for_what_is_not_allowed():
    with pytest.raises(NotAllowedError):
        open_reader("file:///etc/passwd", Access().asked_by("https://h/s"))
    with pytest.raises(VirtualZarrError, match="allow is 3"):
        Access.of(None, allow=3)


def test_flat_options_go_to_the_place_of_the_document_only():
    access = Access.of({"headers": {"Authorization": "t"}}).asked_by("https://h/s.vzarr")
    assert access.options("https://h/a.nc")
    assert not access.options("https://g/a.nc")
    assert not access.options("https://h:8443/a.nc")
    named = Access.of({"token": "t"}).named(["s3://b/x/a.nc"])
    assert named.options("s3://b/x/b.nc")
    assert not named.options("s3://c/a")


def test_options_are_not_shown():
    access = Access.of({"s3://b/": {"secret_access_key": "hush"}}, allow=["https://me:hush@h/"]).remembering(
        "https://a:hush@h/?k=hush"
    )
    assert "hush" not in repr(access)
    assert pickle.loads(pickle.dumps(access)) == access


def test_different_options_for_one_prefix_are_not_merged():
    one, other = Access({"s3://b/": {"key": "hush1"}}), Access({"s3://b/x/": {"key": "hush2"}})
    with pytest.raises(JoinError, match=r"'s3://b/' and the other for 's3://b/x/'") as caught:
        merged_access([one, other])
    assert "hush" not in str(caught.value)
    both = Access({**one.rules, **other.rules})
    assert merged_access([both, both]) == both
    assert merged_access([one, Access({"s3://c/": {"key": "k"}})]).options("s3://b/a") == {"key": "hush1"}


def test_a_source_keeps_secrets_in_memory_only():
    source = Source("https://me:hush@h/a.nc?sig=hush&v=1")
    assert source.url == "https://h/a.nc"
    assert source.opened == "https://me:hush@h/a.nc?sig=hush&v=1"
    assert "hush" not in repr(source)
    assert pickle.loads(pickle.dumps(source)).opened == source.opened
    assert Access(keep_query=("v",)).source("https://h/a.nc?v=1&k=hush").url == "https://h/a.nc?v=1"


def test_two_files_of_one_stored_url_are_refused_and_two_signatures_are_not():
    with pytest.raises(SourceError, match=r"two values of 'file'.*keep_query=\['file'\]"):
        unify_tables([[Source("https://h/get?file=a")], [Source("https://h/get?file=b")]])
    table, _ = unify_tables([[Source("https://h/a?X-Amz-Signature=a")], [Source("https://h/a?X-Amz-Signature=b")]])
    assert len(table) == 1


@pytest.mark.parametrize("name", ["key", "access-token", "jwt", "hdnea", "sig", "X-Amz-Signature", "anything"])
def test_unknown_query_parameters_are_not_stored(name):
    assert strip_url(f"https://h/a.nc?{name}=hush") == "https://h/a.nc"
    assert strip_url(f"https://h/a.nc?{name}=v&versionId=3", [name]) == f"https://h/a.nc?{name}=v&versionId=3"
    assert redact(f"cannot open 'https://u:hush@h/a.nc?{name}=hush/x', sorry") == "cannot open 'https://h/a.nc?…', sorry"


def test_what_a_store_keeps_stays():
    assert strip_signed("https://h/get?file=a&X-Amz-Signature=hush") == "https://h/get?file=a"
    assert strip_url("file:///data/a?b=c@d") == "file:///data/a?b=c@d"


def test_a_cause_that_shows_a_secret_is_not_shown():
    safe, unsafe = ValueError("https://h/a"), ValueError("https://h/a?sig=hush")
    assert shown_cause(safe) is safe
    assert shown_cause(unsafe) is None
