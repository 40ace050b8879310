"""`blankstream verify`: every file of a data set against its hashes and against each other.

Fast, everything is read once and compared with what was recorded. Deep, every sample must also obey
the laws of its objective, and a share of the items is built again from its sources. Nothing is
changed. docs/verify.md says what is promised.
"""

from collections.abc import Callable

from jobs.care.inspection import Verified, VerifyRequest, inspect
from pipeline.care.whole import read_whole
from pipeline.stores.choice import open_store


def verify_dataset(request: VerifyRequest, advance: Callable[[int], None]) -> Verified:
    """Check the data set; `advance` is told the bytes of every item that was read.

    The same for any executor and number of workers. Damage is reported, not raised. Raises
    `DatasetError` when there is no finished data set, `InputError` for inputs that are not those of
    the data set.
    """
    whole = read_whole(open_store(request.dataset))
    return inspect(whole, request, advance).verified
