"""Threads of torch in the processes of `nlp.pipe(n_process=2)`."""

import os

_PROCESS = os.getpid()


def use_own_threads() -> None:
    """Keep a forked process from waiting for ever: it has none of the threads that torch started before, and torch does
    not notice.
    """
    if os.getpid() != _PROCESS:
        import torch

        torch.set_num_threads(1)
