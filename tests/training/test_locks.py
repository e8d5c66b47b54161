"""Methods that use a model run in one thread at a time, and in forked processes."""

import multiprocessing
import os
import threading
import time

import pytest

from spacy_ragre.training.locks import one_at_a_time


class Counter:
    def __init__(self):
        self.inside = self.most = 0

    @one_at_a_time
    def work(self, again=True):
        """Counts those that are inside at once; calls itself, as methods of one component do."""
        self.inside += 1
        self.most = max(self.most, self.inside)
        if again:
            self.inside -= 1
            self.work(again=False)
            self.inside += 1
        time.sleep(0.002)
        self.inside -= 1


def test_threads_take_turns():
    counter = Counter()
    threads = [threading.Thread(target=counter.work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.most == 1 and counter.inside == 0


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
def test_a_forked_process_does_not_wait_for_a_thread_of_its_parent():
    counter, started, stop = Counter(), threading.Event(), threading.Event()

    class Holder:
        @one_at_a_time
        def hold(self):
            started.set()
            stop.wait(30)

    thread = threading.Thread(target=Holder().hold)
    thread.start()
    try:
        assert started.wait(10)
        process = multiprocessing.get_context("fork").Process(target=counter.work)
        process.start()
        process.join(20)
        assert process.exitcode == 0
    finally:
        stop.set()
        thread.join()


@pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="this system does not fork")
@pytest.mark.parametrize("before", [None, "true"])
def test_a_forked_process_is_told_to_tokenise_with_one_thread(monkeypatch, before):
    """The package tokenizers else prints a warning in each process of `nlp.pipe(n_process=2)`."""
    name = "TOKENIZERS_PARALLELISM"
    if before is None:
        monkeypatch.delenv(name, raising=False)
    else:
        monkeypatch.setenv(name, before)
    context = multiprocessing.get_context("fork")
    told = context.Queue()
    process = context.Process(target=lambda: told.put(os.environ.get(name)))
    process.start()
    assert told.get(timeout=20) == (before or "false")
    process.join(20)
    assert os.environ.get(name) == before
