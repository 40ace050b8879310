"""A finished work item copied into another data set, under another slice number.

Used by `merge`. The item stays what it is: same id, same rows. Only its place in the plan and the
names of its files differ, and of a tar shard the names of the members.
"""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.care.item_files import corrupt, read_shard
from pipeline.care.record_laws import read_item_record
from pipeline.records import FolderListing, commit_record, missing_files, read_record
from pipeline.shard_formats.shard_file import open_shard_writer, shard_suffix
from pipeline.stores.store import Store
from schemas.build_config import BuildConfig
from schemas.config import parse_config
from schemas.errors import DatasetError
from schemas.manifest import SPLITS, StoredFile
from schemas.names import (
    documents_name,
    quarantine_name,
    record_name,
    shard_folder,
    shard_name,
    tar_key_prefix,
)
from schemas.plan import WorkItem
from schemas.record import ItemRecord, ShardFile
from schemas.samples import row_format_of

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class Renumbering:
    """From one data set into another of the same `recipe`."""

    source: Store
    target: Store
    recipe: dict[str, Any]

    def copy(self, old: WorkItem, new: WorkItem) -> int:
        """Copy the files of `old` as those of `new`, the record last; bytes read.

        Nothing is copied that is there. Raises `CorruptDataError` naming the first damaged file.
        """
        done = read_record(self.target, new)
        if done and not missing_files(FolderListing(self.target), done):
            return 0
        record = self._record(old)
        quarantine = record.quarantine and self._copied(
            record.quarantine, quarantine_name(new, record.quarantine.hashes.sha256)
        )
        moved = replace(
            record,
            slice=new.slice.number,
            shards=self._shards(record, new),
            documents=self._copied(
                record.documents, documents_name(new, record.documents.hashes.sha256)
            ),
            quarantine=quarantine,
        )
        commit_record(self.target, new, moved)
        return sum(shard.hashes.bytes for shard in record.shards)

    def _record(self, item: WorkItem) -> ItemRecord:
        name = record_name(item)
        try:
            return read_item_record(self.source.read(name), item, name)
        except (FileNotFoundError, DatasetError) as error:
            raise corrupt(Path(self.source.where(name)), "its record cannot be read") from error

    def _shards(self, record: ItemRecord, new: WorkItem) -> tuple[ShardFile, ...]:
        suffix = shard_suffix(self.recipe["build"]["shard_format"])
        numbers = dict.fromkeys(SPLITS, 0)
        moved = []
        for shard in record.shards:
            number = numbers[shard.split]
            numbers[shard.split] += 1
            if suffix == ".tar" and record.slice != new.slice.number:
                moved.append(self._rewritten(shard, new, number))
                continue
            name = shard_name(new, shard.split, number, shard.hashes.sha256, suffix)
            self._copied(shard.stored, name)
            moved.append(replace(shard, path=name))
        return tuple(moved)

    def _rewritten(self, shard: ShardFile, new: WorkItem, number: int) -> ShardFile:
        """A tar with the same rows, whose members are named as a build of `new` names them."""
        build, row_format = self.recipe["build"], row_format_of(self.recipe)
        config = parse_config(BuildConfig, build, "recipe")
        folder = shard_folder(new, shard.split)
        with self._opened(shard.path) as path, self.target.draft(folder) as draft:
            writer = open_shard_writer(
                build["shard_format"],
                draft.path,
                row_format,
                config.batch_rows(row_format),
                tar_key_prefix(new, number),
            )
            with closing(read_shard(path, shard, self.recipe)) as batches:
                for arrays in batches:
                    writer.append(arrays)
            written = writer.close()
            suffix = shard_suffix(build["shard_format"])
            name = shard_name(new, shard.split, number, written.hashes.sha256, suffix)
            draft.commit(name)
        return replace(shard, path=name, hashes=written.hashes)

    @contextmanager
    def _opened(self, name: str) -> Iterator[Path]:
        """A file of the source; `CorruptDataError` naming it where there is none."""
        where = Path(self.source.where(name))
        with ExitStack() as stack:
            try:
                path = stack.enter_context(self.source.local(name))
            except FileNotFoundError as error:
                raise corrupt(where, "missing") from error
            yield path

    def _copied(self, stored: StoredFile, name: str) -> StoredFile:
        """The file under its new name, copied unless it is there, and hashed on the way."""
        if self.target.size(name) == stored.hashes.bytes:
            return StoredFile(name, stored.hashes)
        with (
            self._opened(stored.path) as path,
            path.open("rb") as stream,
            self.target.draft(name.rpartition("/")[0]) as draft,
            draft.path.open("wb") as copy,
        ):
            found = hashlib.sha256()
            while piece := stream.read(_PIECE_BYTES):
                found.update(piece)
                copy.write(piece)
            copy.close()
            if found.hexdigest() != stored.hashes.sha256:
                expected = stored.hashes.sha256
                place = Path(self.source.where(stored.path))
                raise corrupt(place, f"expected SHA-256 {expected}, found {found.hexdigest()}")
            draft.commit(name)
        return StoredFile(name, stored.hashes)
