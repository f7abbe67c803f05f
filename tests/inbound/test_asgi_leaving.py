"""A caller who leaves before he has his answer: the calls made for him are cancelled, and no message is lost."""

from __future__ import annotations

import asyncio
import threading

import pytest
from inbound.asgi_server import Exchange, answer

from meshware.context import current
from meshware.inbound.asgi import MeshMiddleware
from meshware.mesh import Mesh
from meshware.settings.schema import MeshSettings

SERVICES = {"services": {"inventory": {"endpoints": ["127.0.0.1:9"]}}}


def exchange_of(app, **options):
    mesh = Mesh(MeshSettings.model_validate(SERVICES))
    return Exchange(MeshMiddleware(app, mesh=mesh, instrument=False), **options)


class WhileWanted:
    """What an async door out does by the contract of `RequestContext.on_cancel`, and no more."""

    def __enter__(self):
        self.loop, self.task = asyncio.get_running_loop(), asyncio.current_task()
        self.open, self.cancelled = True, False
        self.undo = current().on_cancel(lambda: self.loop.call_soon_threadsafe(self.cancel))

    def cancel(self):
        if self.open:
            self.cancelled = self.task.cancel()

    def __exit__(self, *error):
        self.open = False
        self.undo()
        if self.cancelled:
            self.task.uncancel()


class Outbound:
    """An async call as a door out makes it; it ends when it is let go, or cancelled."""

    def __init__(self):
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.cancelled = False

    async def __call__(self):
        with WhileWanted():
            self.begun.set()
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise


def calling(outbound, *, receive_first=0):
    """An app that reads so many messages, makes the call, and answers."""

    async def app(scope, receive, send):
        for _ in range(receive_first):
            await receive()
        await outbound()
        await answer(send, b"done")

    return app


async def settled():
    """All that is due on this loop is done."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize("receive_first", [0, 1])
def test_the_call_under_way_is_cancelled_and_the_server_hears_of_no_error(receive_first):
    async def run():
        outbound = Outbound()
        exchange = exchange_of(calling(outbound, receive_first=receive_first))
        task = asyncio.create_task(exchange.run())
        await outbound.begun.wait()
        exchange.leave()
        await task
        assert outbound.cancelled
        assert (exchange.status, exchange.body) == (499, b"")  # for middlewares around; the server sends it to nobody
        assert task.cancelling() == 0
        assert exchange.most_readers == 1

    asyncio.run(run())


def test_an_answer_that_was_begun_is_left_as_it_is():
    async def run():
        outbound = Outbound()

        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await outbound()

        exchange = exchange_of(app)
        task = asyncio.create_task(exchange.run())
        await outbound.begun.wait()
        exchange.leave()
        await task
        assert [each["type"] for each in exchange.sent] == ["http.response.start"]

    asyncio.run(run())


def test_a_server_that_refuses_an_answer_to_nobody_is_believed():
    async def run():
        outbound = Outbound()
        exchange = exchange_of(calling(outbound))

        async def send(message):
            raise OSError("he is gone")

        task = asyncio.create_task(exchange.app(exchange.scope, exchange._receive, send))
        await outbound.begun.wait()
        exchange.leave()
        await task
        assert outbound.cancelled

    asyncio.run(run())


def test_an_error_of_the_app_passes_also_when_the_caller_has_left():
    async def run():
        outbound = Outbound()

        async def app(scope, receive, send):
            try:
                await outbound()
            except asyncio.CancelledError:
                raise RuntimeError("a bug") from None

        exchange = exchange_of(app)
        task = asyncio.create_task(exchange.run())
        await outbound.begun.wait()
        exchange.leave()
        with pytest.raises(RuntimeError, match="a bug"):
            await task

    asyncio.run(run())


def test_a_call_that_is_answered_in_time_is_not():
    async def run():
        outbound = Outbound()
        exchange = exchange_of(calling(outbound))
        task = asyncio.create_task(exchange.run())
        await outbound.begun.wait()
        outbound.go_on.set()
        await task
        exchange.leave()
        await settled()
        assert not outbound.cancelled
        assert exchange.body == b"done"
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


def test_the_app_may_clean_up_by_further_calls():
    async def run():
        first, second = Outbound(), Outbound()
        second.go_on.set()
        ended = []

        async def app(scope, receive, send):
            try:
                await first()
            finally:
                await second()
                ended.append(True)

        exchange = exchange_of(app)
        task = asyncio.create_task(exchange.run())
        await first.begun.wait()
        exchange.leave()
        await task
        assert first.cancelled
        assert not second.cancelled
        assert ended == [True]

    asyncio.run(run())


def test_who_left_between_two_calls_cancels_the_second():
    async def run():
        first, second, pause = Outbound(), Outbound(), asyncio.Event()
        first.go_on.set()

        async def app(scope, receive, send):
            await first()
            await pause.wait()
            await second()

        exchange = exchange_of(app)
        task = asyncio.create_task(exchange.run())
        await first.begun.wait()
        exchange.leave()
        await settled()
        pause.set()
        await task
        assert not first.cancelled
        assert second.cancelled

    asyncio.run(run())


def test_who_sees_it_by_himself_decides_by_himself():
    async def run():
        outbound = Outbound()
        outbound.go_on.set()
        seen = []

        async def app(scope, receive, send):
            seen.extend([(await receive())["type"], (await receive())["type"], (await receive())["type"]])
            await outbound()
            seen.append("called")

        exchange = exchange_of(app)
        exchange.leave()
        exchange.leave()
        await exchange.run()
        assert seen == ["http.request", "http.disconnect", "http.disconnect", "called"]

    asyncio.run(run())


def test_all_calls_of_the_request_are_cancelled_in_whatever_task_they_run():
    async def run():
        calls = [Outbound() for _ in range(3)]

        async def app(scope, receive, send):
            await asyncio.gather(*(each() for each in calls))

        exchange = exchange_of(app)
        task = asyncio.create_task(exchange.run())
        for each in calls:
            await each.begun.wait()
        exchange.leave()
        await task
        assert all(each.cancelled for each in calls)

    asyncio.run(run())


def test_a_call_on_another_threads_loop_is_cancelled_there():
    async def run():
        begun, cancelled = threading.Event(), []

        def elsewhere():
            async def call():
                with WhileWanted():
                    begun.set()
                    await asyncio.sleep(30)

            try:
                asyncio.run(call())
            except asyncio.CancelledError:
                cancelled.append(True)

        async def app(scope, receive, send):
            await asyncio.to_thread(elsewhere)
            await answer(send, b"ran on")

        exchange = exchange_of(app)
        task = asyncio.create_task(exchange.run())
        await asyncio.to_thread(begun.wait)
        exchange.leave()
        await task
        assert cancelled == [True]
        assert exchange.body == b"ran on"

    asyncio.run(run())


def test_a_thread_that_asks_as_the_answer_goes_out_is_not_looked_out_for():
    async def run():
        async def app(scope, receive, send):
            context = current()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            thread = threading.Thread(target=context.on_cancel, args=(lambda: pytest.fail("he had his answer"),))
            thread.start()
            thread.join()  # what it asked of this loop is still to come
            await send({"type": "http.response.body", "body": b""})

        exchange = exchange_of(app)
        await exchange.run()
        exchange.leave()
        await settled()
        assert exchange.reads == 0

    asyncio.run(run())


def test_background_work_is_not_cancelled_when_the_caller_leaves_with_his_answer():
    async def run():
        outbound = Outbound()

        async def app(scope, receive, send):
            await answer(send)
            await outbound()

        exchange = exchange_of(app)
        task = asyncio.create_task(exchange.run())
        await outbound.begun.wait()
        exchange.leave()
        await settled()
        outbound.go_on.set()
        await task
        assert not outbound.cancelled

    asyncio.run(run())


def test_a_call_that_the_answer_overtakes_becomes_background_work():
    async def run():
        outbound = Outbound()
        exchange = None

        async def app(scope, receive, send):
            call = asyncio.create_task(outbound())
            await outbound.begun.wait()
            await answer(send)
            exchange.leave()
            await settled()
            outbound.go_on.set()
            await call

        exchange = exchange_of(app)
        await exchange.run()
        assert not outbound.cancelled

    asyncio.run(run())


def test_a_cancellation_by_the_server_passes_also_when_the_caller_has_left():
    async def run():
        outbound = Outbound()

        async def app(scope, receive, send):
            try:
                await outbound()
            finally:
                await asyncio.Event().wait()  # clean-up that hangs

        exchange = exchange_of(app)
        task = asyncio.create_task(exchange.run())
        await outbound.begun.wait()
        exchange.leave()
        await settled()
        assert outbound.cancelled
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


# The app's messages


def test_every_piece_of_a_body_reaches_the_app_in_order_and_no_more_than_one_is_read_ahead():
    async def run():
        outbound, pieces = Outbound(), []

        async def app(scope, receive, send):
            call = asyncio.create_task(outbound())
            await outbound.begun.wait()
            await settled()
            assert exchange.given == 1
            more = True
            while more:
                message = await receive()
                pieces.append(message["body"])
                more = message["more_body"]
                await settled()
                assert exchange.given <= len(pieces) + 1
            outbound.go_on.set()
            await call
            await answer(send)

        exchange = exchange_of(app, body=False)
        for number in range(20):
            exchange.tell("http.request", body=b"%d" % number, more_body=number < 19)
        await exchange.run()
        assert pieces == [b"%d" % number for number in range(20)]
        assert exchange.most_readers == 1

    asyncio.run(run())


def test_who_leaves_in_the_middle_of_his_body_cancels_too():
    async def run():
        outbound = Outbound()
        exchange = exchange_of(calling(outbound, receive_first=1), body=False)
        exchange.tell("http.request", body=b"one", more_body=True)
        task = asyncio.create_task(exchange.run())
        await outbound.begun.wait()
        exchange.leave()
        await task
        assert outbound.cancelled

    asyncio.run(run())


def test_an_app_that_waits_for_a_message_while_we_read_ahead_gets_it():
    async def run():
        outbound, got = Outbound(), []

        async def app(scope, receive, send):
            call = asyncio.create_task(outbound())
            await outbound.begun.wait()
            await settled()
            got.append((await receive())["body"])
            outbound.go_on.set()
            await call
            await answer(send)

        exchange = exchange_of(app, body=False)
        task = asyncio.create_task(exchange.run())
        await outbound.begun.wait()
        await settled()
        exchange.tell("http.request", body=b"late", more_body=False)
        await task
        assert got == [b"late"]

    asyncio.run(run())


def test_an_app_that_looks_whether_he_is_there_neither_loses_a_message_nor_stops_us():
    async def run():
        outbound, got = Outbound(), []

        async def looked(receive):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(receive(), 0.001)

        async def app(scope, receive, send):
            await looked(receive)
            call = asyncio.create_task(outbound())
            await outbound.begun.wait()
            await looked(receive)
            exchange.tell("http.request", body=b"late", more_body=False)
            got.append((await receive())["body"])
            await looked(receive)
            exchange.leave()
            await call

        exchange = exchange_of(app, body=False)
        await exchange.run()
        assert got == [b"late"]
        assert outbound.cancelled
        assert exchange.most_readers == 1

    asyncio.run(run())


def test_an_app_that_is_reading_already_is_left_to_it():
    async def run():
        outbound, heard = Outbound(), []

        async def app(scope, receive, send):
            listening = asyncio.create_task(receive())  # as a streaming response does
            await asyncio.sleep(0)
            try:
                await outbound()
            finally:
                heard.append((await listening)["type"])

        exchange = exchange_of(app, body=False)
        task = asyncio.create_task(exchange.run())
        await outbound.begun.wait()
        await settled()
        assert exchange.reads == 1
        exchange.leave()
        await task
        assert outbound.cancelled
        assert heard == ["http.disconnect"]
        assert exchange.most_readers == 1

    asyncio.run(run())


def test_after_he_left_the_app_is_told_so_as_often_as_it_asks():
    async def run():
        outbound, heard = Outbound(), []

        async def app(scope, receive, send):
            try:
                await outbound()
            finally:
                heard.extend([(await receive())["type"] for _ in range(3)])

        exchange = exchange_of(app)
        task = asyncio.create_task(exchange.run())
        await outbound.begun.wait()
        exchange.leave()
        await task
        assert heard == ["http.request", "http.disconnect", "http.disconnect"]

    asyncio.run(run())


def test_a_body_that_the_caller_sends_only_when_asked_is_not_asked_for_by_us():
    async def run():
        first, second = Outbound(), Outbound()

        async def app(scope, receive, send):
            await first()
            await receive()
            await second()

        exchange = exchange_of(app, headers=[("expect", "100-continue")])
        task = asyncio.create_task(exchange.run())
        await first.begun.wait()
        await settled()
        assert exchange.reads == 0
        first.go_on.set()
        await second.begun.wait()
        exchange.leave()
        await task
        assert second.cancelled

    asyncio.run(run())


def test_a_server_that_fails_to_read_fails_for_the_app_and_not_behind_its_back():
    async def run():
        outbound, tries = Outbound(), []
        outbound.go_on.set()

        async def receive():
            tries.append(True)
            raise OSError("broken")

        async def app(scope, receive, send):
            await outbound()
            await settled()
            await receive()

        exchange = exchange_of(app)
        with pytest.raises(OSError, match="broken"):
            await exchange.app(exchange.scope, receive, None)
        assert len(tries) == 2

    asyncio.run(run())


def test_a_loop_that_is_gone_breaks_no_call_of_a_thread_that_is_not():
    contexts = []

    async def app(scope, receive, send):
        contexts.append(current())
        await asyncio.Event().wait()

    async def run():
        task = asyncio.create_task(exchange_of(app).run())
        await asyncio.sleep(0)
        task._log_destroy_pending = False
        return task

    loop = asyncio.new_event_loop()
    task = loop.run_until_complete(run())
    loop.close()
    contexts[0].on_cancel(lambda: pytest.fail("nobody left"))()
    task.get_coro().close()
