"""The store of last good answers: what is found again, by whom, for how long, and how much of it there is."""

from __future__ import annotations

import threading

import pytest
from world import request

from meshware.fallback.last_good import OVERHEAD, LastGood, LastGoodOptions

URL = "http://inventory/items"


def keep(store, body=b"ok", *, url=URL, headers=None, asked=None, now=0.0, status=200, decoded=False, method="GET"):
    """An answer that is read in two pieces; whether it was kept."""
    asking = request(method, headers=asked or {})
    keeping = store.keeping(asking, url, status, headers or {}, decoded=decoded)
    if keeping is None:
        return False
    keeping.add(body[:1])
    keeping.add(body[1:])
    keeping.whole(now)
    return True


def find(store, *, url=URL, asked=None, now=1.0, method="GET"):
    reply = store.find(request(method, headers=asked or {}), url, now)
    return None if reply is None else reply.body


def test_the_last_good_answer_is_found_with_its_age():
    store = LastGood(LastGoodOptions())
    keep(store, b"old")
    keep(store, b"new", headers={"X-A": "1"}, now=2.0)
    reply = store.find(request(), URL, 5.5)
    assert (reply.status, reply.body, reply.source) == (200, b"new", "last-good")
    assert reply.headers == (("X-A", "1"), ("age", "3"))


def test_another_url_method_or_too_old_an_answer_is_none():
    store = LastGood(LastGoodOptions(age=10))
    keep(store, now=0.0)
    assert find(store, now=9.9) == b"ok"
    assert find(store, now=10.0) is None
    assert find(store, url=URL + "?page=2") is None
    assert find(store, method="HEAD") is None
    assert find(store, method="POST") is None


def test_an_answer_that_limits_itself_is_used_no_longer():
    store = LastGood(LastGoodOptions(age=100))
    keep(store, headers={"cache-control": "max-age=5, stale-if-error=5"})
    assert find(store, now=9.0) == b"ok"
    assert find(store, now=10.0) is None


def test_who_asks_otherwise_gets_what_was_kept_for_that():
    store = LastGood(LastGoodOptions())
    for language in ("de", "en"):
        keep(store, language.encode(), headers={"vary": "Accept-Language"}, asked={"accept-language": language})
    assert find(store, asked={"accept-language": "de"}) == b"de"
    assert find(store, asked={"accept-language": "en"}) == b"en"
    assert find(store, asked={"accept-language": "fr"}) is None
    assert find(store) is None


def test_an_answer_from_before_the_server_varied_is_not_found_again():
    store = LastGood(LastGoodOptions(entries=2))
    keep(store, b"before")
    keep(store, b"de", headers={"vary": "accept-language"}, asked={"accept-language": "de"})
    assert find(store, asked={"accept-language": "fr"}) is None


def test_nobody_gets_what_was_kept_for_anothers_credentials():
    store = LastGood(LastGoodOptions(private=True))
    keep(store, b"hers", asked={"cookie": "id=1"}, headers={"cache-control": "private", "set-cookie": "id=1"})
    assert find(store, asked={"cookie": "id=1"}) == b"hers"
    assert find(store, asked={"cookie": "id=2"}) is None
    assert find(store, asked={"authorization": "id=1"}) is None
    assert find(store) is None
    assert store.find(request(headers={"cookie": "id=1"}), URL, 1.0).headers == (
        ("cache-control", "private"),
        ("age", "1"),
    )


def test_without_the_setting_credentials_are_neither_kept_nor_looked_up():
    store = LastGood(LastGoodOptions())
    assert not keep(store, asked={"cookie": "id=1"})
    keep(store, b"for all")
    assert find(store, asked={"cookie": "id=1"}) is None


def test_what_must_not_be_stored_leaves_what_is_there():
    store = LastGood(LastGoodOptions())
    keep(store, b"good")
    assert not keep(store, b"secret", headers={"cache-control": "no-store"})
    assert find(store) == b"good"


def test_a_request_that_changes_things_forgets_what_was_there():
    store = LastGood(LastGoodOptions())
    keep(store)
    store.forget(request("PUT"), URL)
    assert find(store) is None


@pytest.mark.parametrize("headers", [{}, {"content-length": "11"}, {"content-length": "1" * 5000}])
def test_a_body_that_is_too_long_is_not_kept(headers):
    store = LastGood(LastGoodOptions(answer_bytes=10))
    keep(store, b"x" * 11, headers=headers)
    keeping = store.keeping(request(), URL, 200, {}, decoded=False)
    for _ in range(3):
        keeping.add(b"x" * 8)
    keeping.whole(0.0)
    assert find(store) is None
    keep(store, b"x" * 10)
    assert find(store) == b"x" * 10


def test_a_body_that_was_not_read_to_its_end_is_not_kept():
    store = LastGood(LastGoodOptions())
    store.keeping(request(), URL, 200, {}, decoded=False).add(b"half")
    assert find(store) is None


def test_there_are_never_more_entries_or_bytes_than_said():
    few = LastGood(LastGoodOptions(entries=3))
    small = LastGood(LastGoodOptions(total_bytes=3 * (OVERHEAD + 100)))
    for number in range(10):
        keep(few, url=f"{URL}/{number}")
        keep(small, b"x" * 100, url=f"{URL}/{number}")
        find(few, url=f"{URL}/0")
        assert few.size[0] <= 3
        assert small.size[1] <= 3 * (OVERHEAD + 100)
    assert find(few, url=f"{URL}/9") == b"ok"
    assert find(few, url=f"{URL}/1") is None
    tiny = LastGood(LastGoodOptions(total_bytes=10))
    keep(tiny)
    assert tiny.size == (0, 0)


def test_many_threads_keep_and_find():
    store, wrong = LastGood(LastGoodOptions(entries=5)), []

    def work(number):
        for turn in range(300):
            at = (number + turn) % 8
            keep(store, b"%d" % at, url=f"{URL}/{at}")
            found = find(store, url=f"{URL}/{at}")
            if found not in (None, b"%d" % at):
                wrong.append(found)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert store.size[0] <= 5
