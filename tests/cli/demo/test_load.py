"""The generator: open loop, the same arrivals for a seed, timed from the intended start."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from meshware.cli.demo import load
from meshware.cli.demo.ask import Answer, ask, parsed
from meshware.cli.demo.load import arrivals, generate


def served(answer, calls):
    """Run the generator against a server that does `answer(writer, over)` for each request; the records.

    `over` is set when all callers have gone.
    """
    seen = []

    async def main():
        over = asyncio.Event()
        open_ones = set()

        async def serve(reader, writer):
            open_ones.add(asyncio.current_task())
            await reader.readuntil(b"\r\n\r\n")
            seen.append(asyncio.get_running_loop().time())
            await answer(writer, over)
            writer.close()

        records = []
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            started = asyncio.get_running_loop().time()
            await generate(server.sockets[0].getsockname()[1], calls, started=started, record=records.append)
            over.set()
            await asyncio.gather(*open_ones)
        return records, [at - started for at in seen]

    return asyncio.run(main())


def says(raw):
    async def answer(writer, over):
        writer.write(raw)

    return answer


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_the_same_seed_gives_the_same_arrivals():
    assert arrivals(50, 60, seed=1) == arrivals(50, 60, seed=1)
    assert arrivals(50, 60, seed=1) != arrivals(50, 60, seed=2)


def test_arrivals_are_a_poisson_process_of_the_rate():
    times = arrivals(50, 200, seed=3)
    gaps = [after - before for before, after in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert len(times) == pytest.approx(50 * 200, rel=0.05)
    assert variance == pytest.approx(mean**2, rel=0.1)
    assert times == sorted(times)
    assert times[-1] < 200


def test_every_answer_is_recorded_with_its_status():
    records, _ = served(says(OK), [0.0, 0.01, 0.02])
    assert [(call.at, call.status) for call in sorted(records, key=lambda call: call.at)] == [
        (0.0, 200),
        (0.01, 200),
        (0.02, 200),
    ]


def test_a_stalled_server_does_not_slow_the_callers_down(monkeypatch):
    monkeypatch.setattr(load, "PATIENCE", 1.0)
    records, seen = served(lambda writer, over: over.wait(), [0.0, 0.05, 0.1, 0.15])
    assert len(seen) == 4
    assert max(seen) < 0.9
    assert [call.status for call in records] == [None] * 4
    assert all(call.elapsed >= 0.95 for call in records)


def test_a_call_is_timed_from_its_intended_start():
    records, _ = served(says(OK), [-0.3])
    assert records[0].elapsed >= 0.3
    assert records[0].status == 200


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"])
def test_a_cut_answer_is_no_answer(raw):
    records, _ = served(says(raw), [0.0])
    assert records[0].status is None
    assert records[0].error


def test_nobody_listening_is_no_answer():
    async def main():
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        records = []
        await generate(port, [0.0], started=asyncio.get_running_loop().time(), record=records.append)
        with pytest.raises(ConnectionRefusedError):
            await ask(port, "/")
        return records

    assert [call.status for call in asyncio.run(main())] == [None]


def test_an_answer_is_its_status_and_body():
    assert parsed(OK) == Answer(200, b"ok")
