"""A server whose engine dies starts another one by itself."""

import asyncio
from contextlib import suppress

import pytest

import kimi_cpu
from kimi_cpu.errors import ModelFileError
from kimi_cpu.server import Settings
from kimi_cpu.server.errors import ApiError
from kimi_cpu.server.service import RESTART_S, Service

from .fake import FakeLLM, last_piece, text_pieces
from .serving import serving
from .test_life import CHAT, HELLO, wait_for


class Loader:
    """Models as they are loaded; raises what is in `errors` instead, one after the other."""

    def __init__(self):
        self.loaded, self.errors = [], []

    def __call__(self):
        if self.errors:
            raise self.errors.pop()
        self.loaded.append(FakeLLM([*text_pieces("Hi"), last_piece()]))
        return self.loaded[-1]


async def settled(condition):
    """Whether a condition comes to hold within the time in which the service looks several times."""
    for _ in range(100):
        if condition():
            return True
        await asyncio.sleep(0.01)
    return False


def kept_alive(check):
    """Runs check(service, load, clock) while the service is kept alive; clock[0] is its time."""

    async def main():
        load, clock = Loader(), [1000.0]
        service = Service(load, Settings(port=0), lambda: clock[0])
        await service.start()
        keeping = asyncio.create_task(service.keep_alive())
        try:
            await check(service, load, clock)
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
            await service.stop()

    asyncio.run(main())


def test_dead_engine_is_replaced_at_once_and_the_next_one_a_minute_later():
    async def check(service, load, clock):
        first = service.llm
        first.is_dead = True
        with pytest.raises(ApiError) as told:
            _ = service.llm
        assert (told.value.status, told.value.code) == (503, "engine_dead") and told.value.headers["Retry-After"] == "5"
        assert await settled(lambda: len(load.loaded) == 2) and first.is_closed
        assert await settled(lambda: service._llm is load.loaded[1])
        load.loaded[1].is_dead = True
        assert not await settled(lambda: len(load.loaded) > 2)
        with pytest.raises(ApiError) as told:
            _ = service.llm
        assert told.value.headers["Retry-After"] == str(int(RESTART_S) + 5)
        clock[0] += RESTART_S
        assert await settled(lambda: len(load.loaded) == 3)

    kept_alive(check)


def test_engine_that_cannot_be_started_is_tried_again_a_minute_later():
    async def check(service, load, clock):
        load.errors = [ModelFileError("x.gguf is gone."), RuntimeError("no luck")]
        service.llm.is_dead = True
        assert await settled(lambda: len(load.errors) == 1)
        assert not await settled(lambda: len(load.errors) == 0)
        clock[0] += RESTART_S
        assert await settled(lambda: len(load.errors) == 0)
        clock[0] += RESTART_S
        assert await settled(lambda: len(load.loaded) == 2)

    kept_alive(check)


def test_running_requests_get_the_error_and_later_ones_an_answer(tiny_file):
    loaded = []

    def load():
        loaded.append(kimi_cpu.load(tiny_file))
        return loaded[-1]

    def fail(*args):
        raise MemoryError("no room for this step")

    with serving(None, load=load) as served:
        body = HELLO | {"stream": True, "ignore_eos": True, "max_tokens": 3000}
        with served.http.stream("POST", CHAT, json=body) as answer:
            lines = answer.iter_lines()
            next(lines)
            loaded[0]._thread.call(lambda engine: setattr(engine.model, "forward", fail))
            assert any("no room for this step" in line for line in lines)
        wait_for(lambda: served.http.get("/health").status_code == 200 and len(loaded) == 2)
        assert served.http.post(CHAT, json=HELLO | {"max_tokens": 5}).status_code == 200
