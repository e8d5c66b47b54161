"""Holding back what other libraries log."""

import logging
from contextlib import contextmanager
from typing import Iterator


@contextmanager
def quiet(*names: str) -> Iterator[None]:
    """Hold back warnings that libraries log and that a user can do nothing about.

    names (str): names of their loggers.
    """
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
