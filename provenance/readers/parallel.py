"""Runs jobs in parallel ahead of their consumer and yields the results in order."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Result = TypeVar("Result")

DEPTH = 3  # jobs in progress before the oldest result is awaited, which bounds memory


def in_order(jobs: Iterator[Callable[[], Result]], pool: Executor) -> Iterator[Result]:
    """Run jobs in a pool, a few ahead of the consumer; yield their results in order.

    An exception of a job is raised in its place, after all earlier results.
    """
    waiting: deque[Future[Result]] = deque()
    for job in jobs:
        waiting.append(pool.submit(job))
        if len(waiting) >= DEPTH:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
