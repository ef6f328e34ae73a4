"""Many use, one changes."""

import threading
import time

import pytest

from semantic_fast_sam_ros.core.base.shared_lock import SharedLock


@pytest.mark.timeout(20)
def test_users_go_together_and_a_changer_alone() -> None:
    lock, together, leave = SharedLock(), threading.Barrier(3), threading.Event()
    changed = threading.Event()

    def use() -> None:
        with lock.use():
            together.wait()  # nobody passes alone
            leave.wait()

    def change() -> None:
        with lock.change():
            changed.set()

    threads = [threading.Thread(target=use) for _ in 'ab']
    for thread in threads:
        thread.start()
    together.wait()
    threads.append(threading.Thread(target=change))
    threads[-1].start()
    assert not changed.wait(0.1)
    leave.set()
    for thread in threads:
        thread.join()
    assert changed.is_set()


@pytest.mark.timeout(20)
def test_a_changer_that_waits_goes_before_new_users() -> None:
    lock, order = SharedLock(), []
    entered, leave = threading.Event(), threading.Event()

    def first() -> None:
        with lock.use():
            entered.set()
            leave.wait()

    def change() -> None:
        with lock.change():
            order.append('change')

    def second() -> None:
        with lock.use():
            order.append('use')

    threads = [threading.Thread(target=first)]
    threads[0].start()
    entered.wait()
    for late in (change, second):
        threads.append(threading.Thread(target=late))
        threads[-1].start()
        time.sleep(0.1)
    assert order == []
    leave.set()
    for thread in threads:
        thread.join()
    assert order == ['change', 'use']


def test_an_error_inside_leaves_the_lock_usable() -> None:
    lock = SharedLock()
    for hold in (lock.use, lock.change):
        with pytest.raises(OSError), hold():
            raise OSError
    with lock.change():
        pass
    with lock.use():
        pass
