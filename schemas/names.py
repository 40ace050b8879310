"""What the files of a data set are called.

Names are relative to the data set and use forward slashes. Files that workers write hold a hash of
their content or the id of their item, so that a late worker of another build can never replace
what a record points to. A folder holds the files of a thousand slices.
"""

from typing import Protocol

MANIFEST_NAME = "manifest.json"
PLAN_NAME = "plan.json"
TOKENIZER_FOLDER = "tokenizer"
SPLITTER_NAME = "splitter.json"
STATUS_NAME = "status.json"
CARD_NAME = "README.md"
SUMMARY_NAME = "summary.html"
CONFIG_NAME = "config.toml"
TAR_INDEX_NAME = "dataset.json"
RECORDS, SHARDS, QUARANTINE = "records", "shards", "quarantine"

SLICES_PER_FOLDER = 1000
_HASH_DIGITS = 16


class Item(Protocol):
    """What names need of a work item."""

    @property
    def id(self) -> str:
        """Its identity."""

    @property
    def name(self) -> str:
        """`item_name` of it."""

    @property
    def pass_number(self) -> int:
        """The pass."""

    @property
    def slice_number(self) -> int:
        """The slice."""


def slice_folder(slice_number: int) -> str:
    """The folder that the files of a slice are in, below that of their kind and pass."""
    return f"{slice_number // SLICES_PER_FOLDER:05d}"


def item_name(pass_number: int, slice_number: int) -> str:
    """`pass-0000/00000/00000012` for slice 12 in pass 0."""
    return f"pass-{pass_number:04d}/{slice_folder(slice_number)}/{slice_number:08d}"


def record_folder(pass_number: int, slice_number: int) -> str:
    """Where the records of a slice and of its neighbours are."""
    return f"{RECORDS}/pass-{pass_number:04d}/{slice_folder(slice_number)}"


def record_name(item: Item) -> str:
    """The record of an item: its commit point."""
    return record_name_of(item.pass_number, item.slice_number, item.id)


def record_name_of(pass_number: int, slice_number: int, item_id: str) -> str:
    """The record of the item `item_id`."""
    return f"{RECORDS}/{item_name(pass_number, slice_number)}-{item_id[:_HASH_DIGITS]}.json"


def documents_name(item: Item, sha256: str) -> str:
    """The documents of an item."""
    return f"{RECORDS}/{item.name}-{sha256[:_HASH_DIGITS]}.documents.arrow"


def quarantine_name(item: Item, sha256: str) -> str:
    """What of an item's input could not be used."""
    number = item.slice_number
    return f"{QUARANTINE}/{slice_folder(number)}/{number:08d}-{sha256[:_HASH_DIGITS]}.jsonl"


def shard_folder(item: Item, split: str) -> str:
    """Where the shards of one split of an item are; of the held-out split there is one pass."""
    number = item.slice_number
    pass_folder = "" if split == "heldout" else f"/pass-{item.pass_number:04d}"
    return f"{SHARDS}/{split}{pass_folder}/{slice_folder(number)}"


def shard_name(item: Item, split: str, number: int, sha256: str, suffix: str) -> str:
    """Shard `number` of one split of an item; `suffix` has its dot."""
    stem = f"{item.slice_number:08d}-{number:05d}-{sha256[:_HASH_DIGITS]}{suffix}"
    return f"{shard_folder(item, split)}/{stem}"


def tar_key_prefix(item: Item, number: int) -> str:
    """How the members of shard `number` of one split of an item begin, if it is a tar."""
    return f"{item.pass_number:04d}-{item.slice_number:08d}-{number:05d}-"


def table_name(sha256: str) -> str:
    """The shard table of one version of the data set."""
    return f"shards-{sha256[:_HASH_DIGITS]}.arrow"


def plan_name(digest: str) -> str:
    """A plan under its digest; `plan.json` is a copy of the last one begun."""
    return f"plan/{digest[:_HASH_DIGITS]}.json"


def plan_table_name(kind: str, sha256: str) -> str:
    """A table of a plan: its `slices` or its `inputs`."""
    return f"plan/{kind}-{sha256[:_HASH_DIGITS]}.arrow"


def manifest_name(version: int) -> str:
    """The manifest of one version, 0 being the first; `manifest.json` is a copy of the last."""
    return f"manifests/{version:04d}.json"
