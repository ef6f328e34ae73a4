"""Reading, working and writing at once end together, whatever stops them."""

import threading

import pytest

from semantic_fast_sam_ros.bags.stages import QUEUE_ITEMS, Stages

MANY = 3 * QUEUE_ITEMS


def _run(count, stop_at=None, source=None):
    stop, written = threading.Event(), []

    def work(item):
        if item == stop_at:
            stop.set()
        return item

    Stages(source or range(count), work, written.append, stop).run()
    return written


def test_all_items_are_written_in_order():
    assert _run(MANY) == list(range(MANY))


@pytest.mark.timeout(20)
def test_items_of_several_workers_are_written_in_order():
    together, written = threading.Barrier(2), []

    def work(item):
        together.wait()  # nobody passes alone
        return item

    Stages(range(MANY), work, written.append, threading.Event(), workers=2).run()
    assert written == list(range(MANY))


@pytest.mark.timeout(20)
def test_error_of_a_worker_reaches_the_caller():
    def work(item):
        if item == 3:
            raise OSError('broken')
        return item

    written = []
    with pytest.raises(OSError, match='broken'):
        Stages(range(MANY), work, written.append, threading.Event(), workers=2).run()
    assert written == list(range(len(written)))


@pytest.mark.timeout(20)
@pytest.mark.parametrize('stop_at', [0, 1, MANY - 1])
def test_stop_writes_the_item_in_work_and_ends(stop_at):
    assert _run(MANY, stop_at) == list(range(stop_at + 1))


@pytest.mark.timeout(20)
def test_error_of_the_source_reaches_the_caller():
    def source():
        yield 0
        raise OSError('torn off')

    with pytest.raises(OSError, match='torn off'):
        _run(0, source=source())
