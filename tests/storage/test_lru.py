"""The one cache of the package, against a model: a list in order of use."""

from hypothesis import given, settings
from hypothesis import strategies as st

from intake_virtualzarr.storage.lru import LRU

USES = st.lists(st.tuples(st.sampled_from(["get", "find", "keep"]), st.integers(0, 6)), max_size=40)


@given(USES, st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_the_least_recently_used_goes_first(uses, limit):
    cache: LRU[int, int] = LRU(limit)
    model: list[int] = []
    for what, key in uses:
        known = key in model
        if what == "get":
            assert cache.get(key, lambda key=key: 10 * key) == 10 * key
        elif what == "find":
            assert cache.find(key) == (10 * key if known else None)
        else:
            assert cache.keep(key, 10 * key) == 10 * key
        if known and what != "keep":
            model.remove(key)
            model.append(key)
        elif not known and what != "find":
            model = [*model, key][-limit:]
        assert cache.values() == [10 * one for one in model]


def test_none_is_a_value_like_others():
    cache: LRU[str, None] = LRU(2)
    made = []
    for _ in range(2):
        assert cache.get("absent", lambda: made.append(1)) is None
    assert (made, cache.hits) == ([1], 1)


def test_weights_count_and_what_is_too_heavy_is_not_kept():
    cache: LRU[str, bytes] = LRU(10, len)
    cache.keep("a", b"1234")
    cache.keep("b", b"12345")
    assert cache.keep("c", b"12345678901") == b"12345678901"
    assert cache.values() == [b"1234", b"12345"]
    cache.keep("d", b"12")
    assert ("a" in cache, cache.values()) == (False, [b"12345", b"12"])
    cache.clear()
    cache.keep("e", b"1234567890")
    assert cache.values() == [b"1234567890"]


def test_the_value_of_the_faster_thread_stays():
    cache: LRU[str, object] = LRU(2)
    first = cache.keep("a", object())
    assert cache.keep("a", object()) is first
