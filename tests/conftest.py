"""Values that several tests share: a small corpus, a tokenizer, a built data set."""

import json
import os
import signal
from pathlib import Path
from pydoc_data import topics

import pytest
from hypothesis import settings

from jobs.build import BuildRequest, build_dataset
from pipeline.sentences import Splitter, train_splitter
from pipeline.vocabularies.sentencepiece_tokens import train_tokenizer
from pipeline.vocabularies.tokenizer import Tokenizer, cut_units
from schemas.build_config import BuildConfig, TokenizerConfig
from tests.corpus import SHARED, NoProgress, small_config

LONG = {
    "test_build",
    "test_cli",
    "test_drive",
    "test_interrupted_builds",
    "test_kills",
    "test_ray_cluster",
    "test_s3_builds",
    "test_scale",
}
"""Files that take a minute or so; begun first, none of them is waited for by itself at the end."""

settings.register_profile("default", deadline=None, max_examples=60, derandomize=True)
settings.register_profile("full", deadline=None, max_examples=1000, derandomize=True)
settings.load_profile("full" if os.environ.get("BLANKSTREAM_FULL") else "default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, whichever worker takes them."""
    items.sort(key=lambda item: item.path.stem not in LONG)


@pytest.fixture(scope="session", autouse=True)
def _home_of_our_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing a test starts may write into, or read from, the home of whoever runs it."""
    os.environ["HOME"] = str(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session", autouse=True)
def _signals_reach_children() -> None:
    """Behind `nohup` or `&` this process ignores signals; those it starts must not inherit that,
    and a test may interrupt this one."""
    for number in (signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real corpora; absent in a plain checkout, required in CI."""
    if not SHARED.is_dir():
        if os.environ.get("BLANKSTREAM_REQUIRE_SHARED") == "1":
            pytest.fail(f"{SHARED} is absent and BLANKSTREAM_REQUIRE_SHARED=1")
        pytest.skip(f"{SHARED} is absent")
    return SHARED


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one JSONL of 25 of Python's help topics, about 60,000 characters."""
    folder = tmp_path_factory.mktemp("corpus")
    chosen = sorted(topics.topics.items(), key=lambda item: len(item[1]))[35:60]
    lines = [json.dumps({"id": name, "text": text}) + "\n" for name, text in chosen]
    (folder / "topics.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def texts(corpus: Path) -> list[str]:
    """The texts of `corpus`."""
    lines = (corpus / "topics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


@pytest.fixture(scope="session")
def splitter(texts: list[str]) -> Splitter:
    """Punkt trained on `texts`."""
    return train_splitter(texts)


@pytest.fixture(scope="session")
def tokenizer(texts: list[str], splitter: Splitter) -> Tokenizer:
    """A vocabulary of at most 500 pieces, trained on `texts`."""
    units = [unit for text in texts for unit in cut_units(text, splitter.spans(text), " ")]
    return train_tokenizer(units, TokenizerConfig(vocab_size=500))


@pytest.fixture(scope="session")
def config() -> BuildConfig:
    """Windows of 64 tokens, all three objectives, several items and several shards an item."""
    return small_config()


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, corpus: Path, config: BuildConfig) -> Path:
    """A finished data set of `corpus`; read it, do not change it."""
    output = tmp_path_factory.mktemp("built") / "dataset"
    build_dataset(BuildRequest(config, [corpus], output, "serial", 1), NoProgress())
    return output
