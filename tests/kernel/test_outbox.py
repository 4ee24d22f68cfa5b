"""Outbox: at least once, in order per topic, bounded in what it keeps of failures, across crashes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lakebed.kernel import outbox as outbox_module
from lakebed.kernel.clock import ManualClock
from lakebed.kernel.kernel import Kernel
from tests.harness import make_kernel


class Receiver:
    """Takes messages; fails as told."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.failures = 0

    async def __call__(self, message: Any) -> None:
        self.got.append(message)
        if self.failures:
            self.failures -= 1
            raise OSError("not now")


def opened(path: Path, **topics: Any) -> tuple[Kernel, ManualClock]:
    clock = ManualClock()
    kernel = make_kernel(path, clock)
    for topic, handler in topics.items():
        kernel.outbox.handle(topic, handler)
    kernel.tasks.start()
    return kernel, clock


def emit(kernel: Kernel, topic: str, *messages: Any) -> None:
    with kernel.db.tx() as tx:
        for message in messages:
            kernel.outbox.emit(tx, topic, message)


async def closed(kernel: Kernel) -> None:
    await kernel.tasks.stop()
    kernel.db.close()


async def test_delivered_in_order_once_the_transaction_is_durable(tmp_path: Path) -> None:
    receiver = Receiver()
    kernel, clock = opened(tmp_path, mail=receiver)
    with kernel.db.tx() as tx:
        for number in range(200):
            kernel.outbox.emit(tx, "mail", {"n": number})
        assert receiver.got == []
    await clock.settle()
    assert receiver.got == [{"n": number} for number in range(200)]
    assert kernel.outbox.backlog() == {}

    def undone() -> None:
        with kernel.db.tx() as tx:
            kernel.outbox.emit(tx, "mail", "never")
            raise KeyError

    with pytest.raises(KeyError):
        undone()
    await clock.advance(300)
    assert "never" not in receiver.got
    await closed(kernel)


async def test_a_failure_keeps_the_order_of_its_topic_and_delays_no_other(tmp_path: Path) -> None:
    slow, fast = Receiver(), Receiver()
    kernel, clock = opened(tmp_path, slow=slow, fast=fast)
    slow.failures = 3
    emit(kernel, "slow", "a", "b")
    emit(kernel, "fast", "x", "y")
    await clock.settle()
    assert (slow.got, fast.got) == (["a"], ["x", "y"])
    assert kernel.outbox.backlog() == {"slow": 2}
    await clock.advance(60)
    assert slow.got == ["a", "a", "a", "a", "b"]
    await closed(kernel)


async def test_dead_letters_are_kept_bounded_and_do_not_hold_the_topic_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "_ATTEMPTS_MAX", 2)
    monkeypatch.setattr(outbox_module, "_DEAD_KEPT", 3)
    receiver = Receiver()
    kernel, clock = opened(tmp_path, mail=receiver)
    receiver.failures = 2
    emit(kernel, "mail", "poison", "good")
    await clock.advance(1)
    assert receiver.got == ["poison", "poison", "good"]
    (dead,) = kernel.outbox.dead()
    assert (dead[0], dead[1], dead[3]) == ("mail", "poison", "not now")
    with kernel.db.tx() as tx:
        for number in range(5):
            kernel.outbox.bury(tx, "mail", number, "nobody wants it")
    assert [message for _, message, _, _ in kernel.outbox.dead()] == [4, 3, 2]
    await closed(kernel)


async def test_a_handler_may_bury_its_message(tmp_path: Path) -> None:
    async def refuse(message: Any) -> None:
        with kernel.db.tx() as tx:
            kernel.outbox.bury(tx, "mail", message, "the target is gone")

    kernel, clock = opened(tmp_path, mail=refuse)
    emit(kernel, "mail", "a", "b")
    await clock.settle()
    assert kernel.outbox.backlog() == {}
    assert [(message, why) for _, message, _, why in kernel.outbox.dead()] == [
        ("b", "the target is gone"),
        ("a", "the target is gone"),
    ]
    await closed(kernel)


async def test_a_crash_between_delivery_and_deletion_delivers_again(tmp_path: Path) -> None:
    receiver = Receiver()
    kernel, clock = opened(tmp_path)
    emit(kernel, "mail", "a", "b")
    await clock.settle()
    kernel.db.close()  # killed before anything was delivered; then one where the first delivery was not noted
    await kernel.tasks.stop()
    again, clock = opened(tmp_path, mail=receiver)
    await clock.settle()
    assert receiver.got == ["a", "b"]
    with again.db.tx() as tx:  # what a crash leaves: delivered, still there
        again.outbox.emit(tx, "mail", "b")
    await clock.settle()
    assert receiver.got == ["a", "b", "b"]
    await closed(again)
