"""The micro-batcher: what is read together, who goes first, what is refused, what a failure costs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence

import pytest

from service.batching import MOST_BULK_TOGETHER, MOST_TOGETHER, MicroBatcher
from service.problems import Problem


class Ledger:
    """Counts what the batcher tells."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.refusals: list[str] = []
        self.depths: list[int] = []

    def waiting(self, tickets: int) -> None:
        self.depths.append(tickets)

    def inferred(self, *, tickets: int, seconds: float, waited: float) -> None:
        assert seconds >= 0 and waited >= 0
        self.batches.append(tickets)

    def refused(self, reason: str) -> None:
        self.refusals.append(reason)


class Model:
    """Doubles numbers; holds every batch until it may go on, and remembers what it was given together."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.seconds = 0.0
        self.given: list[list[int]] = []

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.given.append(list(items))
        assert self.go_on.wait(10)
        time.sleep(self.seconds)
        if any(item < 0 for item in items):
            raise ValueError("a negative number")
        return [2 * item for item in items]


Batcher = MicroBatcher[int, int]
Story = Callable[[Batcher, Model, Ledger], Awaitable[None]]


def play(story: Story, *, threads: int = 1, longest_wait: float = 60.0, most_bulk: int = 100) -> tuple[Model, Ledger]:
    model, ledger = Model(), Ledger()

    async def run() -> None:
        batcher = Batcher(model, threads=threads, longest_wait=longest_wait, most_bulk=most_bulk, meter=ledger)
        async with batcher.running():
            await story(batcher, model, ledger)

    asyncio.run(asyncio.wait_for(run(), 30))
    return model, ledger


def ask(batcher: Batcher, *items: int, length: int = 10, group: object = "release") -> asyncio.Task[list[int]]:
    work = batcher.submit(items, [length] * len(items), groups=[group] * len(items))
    return asyncio.get_running_loop().create_task(work)


async def begun(model: Model, batches: int = 1) -> None:
    while len(model.given) < batches:
        await asyncio.sleep(0.001)


def test_what_waits_while_the_model_works_is_read_together() -> None:
    async def story(batcher: Batcher, model: Model, _ledger: Ledger) -> None:
        first = ask(batcher, 1)
        await begun(model)
        others = [ask(batcher, item) for item in range(2, 7)]
        await asyncio.sleep(0)
        model.go_on.set()
        assert await first == [2]
        assert await asyncio.gather(*others) == [[4], [6], [8], [10], [12]]

    model, ledger = play(story)
    assert model.given == [[1], [2, 3, 4, 5, 6]]
    assert ledger.batches == [1, 5]


def test_no_inference_is_so_large_that_others_wait_long() -> None:
    async def story(batcher: Batcher, model: Model, _ledger: Ledger) -> None:
        ask(batcher, 0)
        await begun(model)
        large = ask(batcher, *range(100, 180))
        singles = [ask(batcher, item) for item in range(1, 21)]
        await asyncio.sleep(0)
        model.go_on.set()
        assert await large == [2 * item for item in range(100, 180)]
        await asyncio.gather(*singles)

    model, _ = play(story)
    assert max(len(batch) for batch in model.given if batch[0] < 100) == MOST_TOGETHER
    assert max(len(batch) for batch in model.given if batch[0] >= 100) == MOST_BULK_TOGETHER


def test_long_texts_wait_for_each_other_and_not_for_short_ones() -> None:
    async def story(batcher: Batcher, model: Model, _ledger: Ledger) -> None:
        ask(batcher, 0)
        await begun(model)
        waiting = [ask(batcher, item, length=2000 if item % 2 else 80) for item in range(1, 7)]
        await asyncio.sleep(0)
        model.go_on.set()
        await asyncio.gather(*waiting)

    model, _ = play(story)
    assert sorted(map(sorted, model.given[1:])) == [[1, 3, 5], [2, 4, 6]]


def test_tickets_of_two_releases_are_never_read_together() -> None:
    async def story(batcher: Batcher, model: Model, _ledger: Ledger) -> None:
        ask(batcher, 0)
        await begun(model)
        waiting = [ask(batcher, item, group="old" if item % 2 else "new") for item in range(1, 7)]
        await asyncio.sleep(0)
        model.go_on.set()
        await asyncio.gather(*waiting)

    model, _ = play(story)
    assert sorted(map(sorted, model.given[1:])) == [[1, 3, 5], [2, 4, 6]]


def test_a_single_ticket_overtakes_a_large_batch_and_the_batch_gets_its_turns() -> None:
    async def story(batcher: Batcher, model: Model, _ledger: Ledger) -> None:
        ask(batcher, 0)
        await begun(model)
        large = ask(batcher, *range(100, 180))
        await asyncio.sleep(0)
        singles = [ask(batcher, item, length=10 ** (item % 4 + 2)) for item in range(1, 5)]  # none alike: four batches
        await asyncio.sleep(0)
        model.go_on.set()
        await asyncio.gather(large, *singles)

    model, _ = play(story)
    first_five = model.given[1:6]
    assert [batch for batch in first_five if batch[0] < 100] == [[1], [2], [3], [4]]
    assert sum(batch[0] >= 100 for batch in first_five) == 1  # every fourth turn


def test_a_full_queue_refuses_at_once_and_says_when_to_come_back() -> None:
    async def story(batcher: Batcher, model: Model, ledger: Ledger) -> None:
        model.go_on.set()
        model.seconds = 0.02
        await ask(batcher, 1)  # the batcher learns what a ticket takes
        tasks = [ask(batcher, item) for item in range(200)]
        done = await asyncio.gather(*tasks, return_exceptions=True)
        refused = [one for one in done if isinstance(one, Problem)]
        assert refused
        assert {one.status_code for one in refused} == {503}
        assert all(int(one.headers["Retry-After"]) >= 1 for one in refused if one.headers)
        assert len(done) - len(refused) >= MOST_TOGETHER  # a batch always finds room
        assert len(ledger.refusals) == len(refused)
        assert await ask(batcher, 5) == [10]  # and the next is taken again

    play(story, longest_wait=0.05)


def test_large_batches_have_a_bound_of_their_own_and_one_always_fits() -> None:
    async def story(batcher: Batcher, model: Model, _ledger: Ledger) -> None:
        ask(batcher, 0)
        await begun(model)
        fits = ask(batcher, *range(150))
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="more tickets are waiting"):
            await ask(batcher, *range(50))
        single = ask(batcher, 7)
        model.go_on.set()
        assert await single == [14]
        assert len(await fits) == 150

    play(story, most_bulk=100)


def test_one_that_fails_does_not_spoil_the_others() -> None:
    async def story(batcher: Batcher, model: Model, _ledger: Ledger) -> None:
        ask(batcher, 0)
        await begun(model)
        good, bad, also_good = ask(batcher, 1), ask(batcher, -1), ask(batcher, 2)
        await asyncio.sleep(0)
        model.go_on.set()
        assert (await good, await also_good) == ([2], [4])
        with pytest.raises(ValueError, match="negative"):
            await bad

    play(story)


def test_whoever_gave_up_is_passed_over() -> None:
    async def story(batcher: Batcher, model: Model, _ledger: Ledger) -> None:
        ask(batcher, 0)
        await begun(model)
        gone, stays = ask(batcher, 1), ask(batcher, 2)
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        model.go_on.set()
        assert await stays == [4]

    model, _ = play(story)
    assert model.given == [[0], [2]]


def test_at_the_end_what_was_taken_in_is_finished() -> None:
    tasks: list[asyncio.Task[list[int]]] = []

    async def story(batcher: Batcher, model: Model, _ledger: Ledger) -> None:
        tasks.extend(ask(batcher, item) for item in range(20))
        await begun(model)
        model.go_on.set()

    play(story)
    assert [task.result() for task in tasks] == [[2 * item] for item in range(20)]


def test_two_threads_work_at_once() -> None:
    async def story(batcher: Batcher, model: Model, _ledger: Ledger) -> None:
        tasks = [ask(batcher, 1, length=10), ask(batcher, 2, length=1000)]
        await begun(model, 2)
        model.go_on.set()
        await asyncio.gather(*tasks)

    model, _ = play(story, threads=2)
    assert sorted(model.given) == [[1], [2]]
