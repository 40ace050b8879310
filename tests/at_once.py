"""Several threads that begin together: shared by the tests of what only one may do."""

import threading
from collections.abc import Callable


def all_at_once(actions: list[Callable[[], object]]) -> list[object]:
    """What each action gave, all of them begun together."""
    found: list[object] = []
    start = threading.Barrier(len(actions))

    def run(action: Callable[[], object]) -> None:
        start.wait()
        found.append(action())

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
