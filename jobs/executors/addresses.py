"""Whether the cluster that a build is to run on answers, asked before anything is read.

Stands beside `choice.py`, where the connection itself is made when there are items to build.
"""

import os
import sys

from jobs.executors.choice import ADDRESS_VARIABLE
from jobs.executors.ray_session import check_reachable


def check_address(executor: str, address: str) -> None:
    """Raise `UserError` unless the Ray cluster that is meant answers.

    `address` is that of --address; where it is empty, RAY_ADDRESS counts. Nothing is asked for
    another executor, for a Ray of our own, and in a process that is connected already.
    """
    meant = address or os.environ.get(ADDRESS_VARIABLE, "")
    if executor != "ray" or not meant or meant == "local":
        return
    ray = sys.modules.get("ray")  # not imported here: it reads its environment when it is
    if ray is None or not ray.is_initialized():
        check_reachable(meant)
