"""The transport against a real server that misbehaves: what we sent, how long we waited, what was kept."""

import datetime as dt
import itertools
import json
import threading

import pytest

from trimtab.errors import SearchError
from trimtab.http_client import Bounds, RetryPolicy
from trimtab.literature.request import STRUCK, Bodies, Request
from trimtab.literature.transport import Unreadable


def body_of(answer):
    return answer.body


def as_json(answer):
    try:
        return json.loads(answer.body)
    except ValueError as error:
        raise Unreadable("not JSON") from error


def test_requests_keep_their_interval_and_say_who_we_are(serve, transport, reply, script):
    server = serve(script(reply(body=b"{}")))
    fetching = transport(server, interval=3.0)
    for number in range(4):
        fetching.fetch(Request(url=f"{server.url}/{number}"), body_of)
    times = [asked.time for asked in server.asked]
    assert [later - earlier for earlier, later in itertools.pairwise(times)] == [3.0, 3.0, 3.0]
    assert {asked.headers["User-Agent"] for asked in server.asked} == {"trimtab/test"}


def test_one_connection_with_one_request_at_a_time_whoever_asks(serve, transport, reply, script):
    server = serve(script(reply(body=b"{}")))
    fetching = transport(server)
    threads = [
        threading.Thread(target=lambda n=n: fetching.fetch(Request(url=f"{server.url}/{n}"), body_of)) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.asked) == 8
    assert server.most == 1
    assert len({asked.peer for asked in server.asked}) == 1


@pytest.mark.parametrize(
    ("busy", "waited"),
    [
        ((429, {"Retry-After": "7"}), 7.0),
        ((503, {"Retry-After": "7"}), 7.0),
        ((429, {}), 2.0),
        ((503, {"Retry-After": "?"}), 2.0),
    ],
)
def test_a_busy_server_is_given_the_pause_it_asks_for(serve, transport, reply, script, busy, waited):
    server = serve(script(reply(busy[0], b"busy", busy[1]), reply(body=b"{}")))
    transport(server).fetch(Request(url=server.url), body_of)
    assert server.asked[1].time - server.asked[0].time == waited


def test_a_date_to_come_back_at_is_understood(serve, transport, reply, script):
    date = (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=100)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    server = serve(script(reply(429, b"", {"Retry-After": date}), reply(body=b"{}")))
    transport(server).fetch(Request(url=server.url), body_of)
    assert 60 < server.asked[1].time <= 100


def test_pauses_grow_and_end(serve, transport, reply, script, clock):
    server = serve(script(reply(503, b"busy")))
    with pytest.raises(SearchError, match="tried 5 times: status 503: busy"):
        transport(server).fetch(Request(url=server.url), body_of)
    assert clock.slept == [2.0, 4.0, 8.0, 16.0]
    assert len(server.asked) == 5


@pytest.mark.parametrize("pause", ["86400", "301"])
def test_a_pause_beyond_five_minutes_is_the_end_for_now(serve, transport, reply, script, clock, pause):
    server = serve(script(reply(429, b"", {"Retry-After": pause})))
    with pytest.raises(SearchError, match=f"pause of {pause} seconds"):
        transport(server).fetch(Request(url=server.url), body_of)
    assert clock.slept == []


def test_rate_headers_slow_us_down_and_never_speed_us_up(serve, transport, reply, script):
    server = serve(script(reply(body=b"{}", headers={"x-rate-limit-limit": "5", "x-rate-limit-interval": "10s"})))
    fetching = transport(server, interval=1.0)
    for number in range(4):
        fetching.fetch(Request(url=f"{server.url}/{number}"), body_of)
    times = [asked.time for asked in server.asked]
    assert times == [0.0, 1.0, 3.0, 5.0]  # the first pause is the rule's, later ones the header's 10 s / 5


def test_an_allowance_that_is_used_up_is_waited_for(serve, transport, reply, script):
    used = reply(body=b"{}", headers={"RateLimit-Remaining": "0", "RateLimit-Reset": "30"})
    server = serve(script(used, reply(body=b"{}")))
    fetching = transport(server)
    for number in range(2):
        fetching.fetch(Request(url=f"{server.url}/{number}"), body_of)
    assert server.asked[1].time == 30.0


def test_compressed_answers_are_read(serve, transport, reply, script):
    server = serve(script(reply(body=b'{"a": 1}', zipped=True)))
    _, found = transport(server).fetch(Request(url=server.url), as_json)
    assert found == {"a": 1}
    assert "gzip" in server.asked[0].headers["Accept-Encoding"]


@pytest.mark.parametrize(
    "broken",
    [
        {"body": b'{"a": 1, "b": [1, 2, 3]}', "cut": 10},
        {"body": b'{"a": 1, "b": [1, 2, 3]}' * 50, "cut": 10, "zipped": True},
        {"body": b'{"a": 1'},
        {"body": b"<html>maintenance</html>"},
        {"body": b"\x1f\x8bnot gzip at all", "headers": {"Content-Encoding": "gzip"}},
    ],
    ids=["cut", "cut gzip", "half JSON", "HTML", "false gzip"],
)
def test_cut_and_wrong_bodies_are_asked_for_again_and_never_kept(serve, transport, reply, script, tmp_path, broken):
    server = serve(script(reply(**broken), reply(**broken), reply(body=b'{"a": 2}')))
    bodies, request = Bodies(tmp_path), Request(url=server.url)
    answer, found = transport(server, bodies=bodies).fetch(request, as_json)
    assert found == {"a": 2}
    assert len(server.asked) == 3
    assert bodies.get(request).body == answer.body == b'{"a": 2}'


def test_what_stays_wrong_is_an_error_and_leaves_nothing_behind(serve, transport, reply, script, tmp_path):
    server = serve(script(reply(body=b"oops")))
    with pytest.raises(SearchError, match="tried 5 times: not JSON"):
        transport(server, bodies=Bodies(tmp_path)).fetch(Request(url=server.url), as_json)
    assert list(tmp_path.rglob("*")) == []


def test_refusals_for_good_are_not_repeated(serve, transport, reply, script):
    for status in (400, 401, 403, 404):
        server = serve(script(reply(status, b"no such thing")))
        with pytest.raises(SearchError, match=f"status {status}: no such thing"):
            transport(server).fetch(Request(url=server.url), body_of)
        assert len(server.asked) == 1


def test_recorded_refusals_come_out_with_their_words(serve, transport, recordings):
    refusals = [one for one in recordings if one.status >= 400]
    assert len(refusals) > 30
    left = list(refusals)

    def behave(_asked):
        one = left.pop(0)
        return type("R", (), {"status": one.status, "body": one.body, "headers": {}, "cut": 0, "zipped": False})

    server = serve(behave)
    fetching = transport(server)
    for number, one in enumerate(refusals):
        with pytest.raises(SearchError, match=f"status {one.status}: ") as raised:
            fetching.fetch(Request(url=f"{server.url}/{number}"), body_of)
        assert one.body[:20].decode("utf-8", "replace") in raised.value.message


def test_a_redirect_on_the_same_host_is_followed_and_one_elsewhere_is_not(serve, transport, reply):
    other = serve(lambda _asked: reply(body=b"stolen"))

    def behave(asked):
        if asked.path == "/old":
            return reply(301, headers={"Location": "/new"})
        if asked.path == "/foreign":
            return reply(302, headers={"Location": f"{other.url}/"})
        if asked.path == "/scheme":
            return reply(302, headers={"Location": server.url.replace("http:", "https:")})
        if asked.path == "/round":
            return reply(302, headers={"Location": "/round"})
        return reply(body=b"here")

    server = serve(behave)
    fetching = transport(server, other)  # even a host that is allowed by itself is no place to be sent to
    assert fetching.fetch(Request(url=f"{server.url}/old"), body_of)[1] == b"here"
    with pytest.raises(SearchError, match="another place, and is not followed"):
        fetching.fetch(Request(url=f"{server.url}/foreign", headers={"x-api-key": "K"}), body_of)
    with pytest.raises(SearchError, match="redirects to https://127"):
        fetching.fetch(Request(url=f"{server.url}/scheme"), body_of)
    with pytest.raises(SearchError, match="more than 3 times"):
        fetching.fetch(Request(url=f"{server.url}/round"), body_of)
    assert other.asked == []


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "file:///etc/passwd", "http://u@127.0.0.1:1/", "https://evil.test/"]
)
def test_only_hosts_that_were_named_are_asked(transport, url):
    with pytest.raises(SearchError, match="is not asked"):
        transport("127.0.0.1:1").fetch(Request(url=url), body_of)


def test_long_answers_stop_at_the_limit_also_when_they_were_short_on_the_wire(serve, transport, reply, script):
    server = serve(script(reply(body=b"0" * 5_000_000, zipped=True)))
    with pytest.raises(SearchError, match="more than 1,000,000 bytes"):
        transport(server, bounds=Bounds(body_bytes=1_000_000)).fetch(Request(url=server.url), body_of)


def test_private_values_are_sent_and_kept_nowhere(serve, transport, reply, tmp_path):
    """Also when the server repeats them, in an answer or in a refusal."""
    server = serve(lambda asked: reply(500 if asked.path == "/no" else 200, json.dumps(vars(asked)["query"]).encode()))
    private = {"private": {"api_key": "s3cret/+", "mailto": "me@x.org"}, "headers": {"x-api-key": "h3ader"}}
    request = Request(url=server.url, params={"q": "a"}, **private)
    bodies = Bodies(tmp_path)
    answer, _ = transport(server, bodies=bodies).fetch(request, body_of)
    assert server.asked[0].query["api_key"] == "s3cret/+"
    assert server.asked[0].headers["x-api-key"] == "h3ader"
    with pytest.raises(SearchError) as raised:
        transport(server).fetch(Request(url=f"{server.url}/no", **private), body_of)
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for told in (kept.decode(), str(raised.value), repr(request), repr(answer), answer.body.decode(), request.shown):
        assert not any(secret in told for secret in ("s3cret", "me@x.org", "h3ader"))
    assert STRUCK in kept.decode()
    assert request.key == Request(url=server.url, params={"q": "a"}).key


def test_a_replay_asks_nobody_and_gives_the_same_bytes(serve, transport, reply, script, tmp_path):
    server = serve(script(reply(body=b"first"), reply(body=b"second")))
    request = Request(url=server.url)
    live, _ = transport(server, bodies=Bodies(tmp_path)).fetch(request, body_of)
    for mode in ("replay", "offline", "live"):
        again, _ = transport(server, bodies=Bodies(tmp_path), mode=mode).fetch(request, body_of)
        assert (again.body, again.date) == (live.body, live.date)
    with pytest.raises(SearchError, match="never answered in this folder"):
        transport(server, bodies=Bodies(tmp_path), mode="replay").fetch(Request(url=f"{server.url}/x"), body_of)
    assert len(server.asked) == 1
    assert live.date == "2026-11-24T12:00:00+00:00"


def test_nobody_there_is_said(transport):
    with pytest.raises(SearchError, match="gave no usable answer"):
        transport("127.0.0.1:9", policy=RetryPolicy(attempts=1)).fetch(Request(url="http://127.0.0.1:9/"), body_of)
