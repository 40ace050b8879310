"""A data set that has grown: the same rows in the same shards, and others behind them."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.dataset import open_dataset
from schemas.manifest import Manifest
from schemas.names import MANIFEST_NAME, manifest_name
from tests.datasets import Content, random_rows, write_dataset

SHARD_ROWS = 5


def write_versions(folder: Path, *sizes: int, seed: int = 0) -> list[Path]:
    """A folder for each of the ascending numbers of shards `sizes`, the data set as it was then.

    Every folder holds the manifests of the versions before its own.
    """
    folders = []
    for version, shards in enumerate(sizes):
        content = Content(rows=shards * SHARD_ROWS, shards=shards, seed=seed)
        found = write_dataset(folder / str(version), content)
        _number(found, version)
        for earlier in range(version):
            name = manifest_name(earlier)
            shutil.copyfile(folders[earlier] / name, found / name)
        folders.append(found)
    rows = [random_rows(Content(rows=n * SHARD_ROWS, shards=n, seed=seed)).rows for n in sizes]
    assert all(np.array_equal(one, rows[-1][: len(one)]) for one in rows)
    return folders


def _number(folder: Path, version: int) -> None:
    """Make the manifest that of `version`, in both places."""
    manifest: Manifest = replace(open_dataset(folder).manifest, version=version)
    (folder / MANIFEST_NAME).write_text(manifest.to_json(), encoding="utf-8")
    os.makedirs((folder / manifest_name(version)).parent, exist_ok=True)
    (folder / manifest_name(version)).write_text(manifest.to_json(), encoding="utf-8")
