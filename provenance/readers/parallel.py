"""Work that is done ahead of the one who waits for it, and handed over in order."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Made = TypeVar("Made")

DEPTH = 3  # jobs that are under way before the oldest is waited for: what bounds memory


def in_order(jobs: Iterator[Callable[[], Made]], pool: Executor) -> Iterator[Made]:
    """Run jobs in a pool, a few ahead; yield what they make in their own order.

    What a job raises is raised in its place, after all that came before it.
    """
    waiting: deque[Future[Made]] = deque()
    for job in jobs:
        waiting.append(pool.submit(job))
        if len(waiting) >= DEPTH:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
