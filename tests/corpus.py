"""Plain helpers of the build's tests: where data is, a small configuration, a silent watcher."""

import hashlib
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobs.progress.build_state import BuildState
from pipeline.build import BuildContext
from schemas.build_config import BuildConfig, ObjectiveConfig, TokenizerConfig
from schemas.plan import WorkItem

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


class NoProgress:
    """A `BuildWatcher` that keeps the state it was shown and the notes."""

    def __init__(self) -> None:
        self.state = BuildState()
        self.notes: list[str] = []

    def stage(self, text: str) -> None:
        """Nothing to do."""

    def note(self, text: str) -> None:
        self.notes.append(text)

    def started(self, state: BuildState) -> None:
        self.state = state

    def changed(self) -> None:
        """Nothing to do."""


def small_config(**changes: Any) -> BuildConfig:
    """A configuration for about 60,000 characters: nine items, several shards in some of them."""
    objectives = {
        "blank": ObjectiveConfig(kind="blank", share=0.5),
        "document": ObjectiveConfig(kind="document", share=0.3, mask="gmask"),
        "sentence": ObjectiveConfig(kind="sentence", share=0.2, mask="smask"),
    }
    config = BuildConfig(
        window_tokens=64,
        row_tokens=160,
        max_samples=4,
        heldout_ratio=0.2,
        item_bytes=8192,
        shard_rows=32,
        record_batch_rows=8,
        tokenizer=TokenizerConfig(vocab_size=500, sample_characters=50_000),
        objective=objectives,
    )
    return replace(config, **changes)


def die(context: BuildContext, item: WorkItem) -> Any:
    """In place of `build_work_item`: the worker ends as if the kernel had killed it."""
    os.kill(os.getpid(), signal.SIGKILL)


def the_file(dataset: Path, pattern: str) -> Path:
    """The one file of a data set that the glob `pattern` names."""
    (found,) = dataset.glob(pattern)
    return found


def file_hashes(folder: Path) -> dict[str, str]:
    """Relative path -> SHA-256 of every file below `folder`."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
