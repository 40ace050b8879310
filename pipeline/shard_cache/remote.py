"""URL -> the place of a data set's files and its manifest, the first thing that is read.

Stands above the cache; the counterpart of opening a folder.
"""

from pipeline.shard_cache.folder import CacheFolder
from pipeline.shard_cache.place import CachedPlace
from pipeline.shard_places import LocalPlace, ShardPlace
from pipeline.stores.choice import open_store
from pipeline.stores.local import LocalStore
from pipeline.stores.store import Store
from schemas.errors import DatasetError
from schemas.names import MANIFEST_NAME, PLAN_NAME


def open_remote(url: str, cache: CacheFolder) -> tuple[ShardPlace, bytes]:
    """The files of the data set at `url`, through `cache`, and the bytes of its manifest.

    `file://` is a folder, of which nothing is copied. Raises `DatasetError` when there is no data
    set, when its build is unfinished, or when the URL cannot be opened.
    """
    store = open_store(url)
    try:
        manifest = store.read(MANIFEST_NAME)
    except FileNotFoundError as error:
        raise DatasetError(_why_missing(store)) from error
    except OSError as error:
        place = store.where(MANIFEST_NAME)
        raise DatasetError(f"{place}: cannot be read ({error.strerror or error})") from error
    if isinstance(store, LocalStore):
        return LocalPlace(store.folder), manifest
    return CachedPlace(store, cache), manifest


def _why_missing(store: Store) -> str:
    if store.size(PLAN_NAME) is None:
        return (
            f"{store.place}: no such folder, or neither {MANIFEST_NAME} nor {PLAN_NAME} in it; "
            "expected a data set made by `blankstream build`"
        )
    return (
        f"{store.place}: no {MANIFEST_NAME}: the build has not finished; run the same `blankstream "
        "build` again to complete it"
    )
