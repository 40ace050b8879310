"""Looking for the document of an item that kills its worker: building parts of it into nowhere.

Stands beside `build.py`; `jobs/isolation.py` bisects with it.
"""

import tempfile
from pathlib import Path

from pipeline.build import BuildContext, build_record
from pipeline.readers.reads import Document
from pipeline.stopwatch import Stopwatch
from pipeline.stores.local import LocalStore
from schemas.plan import WorkItem
from schemas.record import Exclusion


def count_documents(context: BuildContext, item: WorkItem) -> int:
    """Documents of `item`, those without text too."""
    reads = context.read(item, context.tools())
    return sum(isinstance(read, Document) for read in reads)


def probe_documents(
    context: BuildContext,
    item: WorkItem,
    excluded: tuple[Exclusion, ...],
    first: int,
    stop: int,
) -> None:
    """Build documents [first, stop) of `item` into a temporary folder, which goes."""
    with tempfile.TemporaryDirectory(prefix="blankstream-") as folder:
        store = LocalStore(Path(folder))
        build_record(context, item, store, Stopwatch(""), excluded, range(first, stop))


def locate_document(context: BuildContext, item: WorkItem, number: int) -> Exclusion:
    """Id and place of document `number` of `item`; why it is excluded is left open."""
    for read in context.read(item, context.tools()):
        if isinstance(read, Document):
            if not number:
                return Exclusion(read.id, read.path, read.start, read.stop, "", "")
            number -= 1
    raise IndexError(f"{item.name} has no such document")
