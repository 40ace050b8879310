"""Arguments of a stream: refused at the door, by name, with the limits of the configuration."""

from pathlib import Path

import pytest

from pipeline import batch_memory, batches
from pipeline.shard_cache.folder import CacheFolder
from pipeline.stream import RowStream
from schemas.config import parse_config
from schemas.errors import ConfigError, UserError
from schemas.train_config import MAX_BATCH_ROWS, MAX_SEED, TrainConfig
from tests.datasets import ROW_FORMAT, write_dataset
from tests.trained import run_training

ROWS = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("arguments") / "d", rows=ROWS)


@pytest.mark.parametrize(
    ("name", "low", "high"), [("batch_rows", 1, MAX_BATCH_ROWS), ("seed", 0, MAX_SEED)]
)
@pytest.mark.parametrize("beyond", [1, 10**12])
def test_a_stream_has_the_limits_of_the_configuration(
    folder: Path, name: str, low: int, high: int, beyond: int
) -> None:
    with pytest.raises(UserError, match=rf"^{name}=\d+: expected an integer in {low}\.\.{high}$"):
        RowStream(folder, **{name: high + beyond})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=rf"'train\.{name}' is .* lie in {low} \.\. {high}$"):
        parse_config(TrainConfig, {name: high + beyond}, "preset", "train")
    assert getattr(parse_config(TrainConfig, {name: high}, "preset", "train"), name) == high


def test_the_largest_seed_leaves_a_state_to_go_on_from(folder: Path) -> None:
    with RowStream(folder, seed=MAX_SEED) as stream:
        next(stream)
        state = stream.state()
    with RowStream(folder, seed=MAX_SEED, state=state) as stream:
        assert stream.state() == state


@pytest.mark.parametrize("name", ["drop_last", "change", "replay"])
@pytest.mark.parametrize("value", ["no", "yes", 0, 1, None])
def test_what_is_no_truth_value_is_refused(folder: Path, name: str, value: object) -> None:
    with pytest.raises(UserError, match=rf"^{name}={value!r}: expected True or False$"):
        RowStream(folder, **{name: value})  # type: ignore[arg-type]


def test_a_limit_of_no_cache_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^cache_bytes=10 beside cache=None: .* cache=FOLDER"):
        RowStream(folder, cache_bytes=10)
    with pytest.raises(UserError, match=r"^cache='s3://b/c': a URL, expected a local folder"):
        RowStream(folder, cache="s3://b/c")
    cache = CacheFolder(tmp_path / "cache", 10**6)
    with pytest.raises(UserError, match=r"^cache_bytes=10 beside a CacheFolder, which has its own"):
        RowStream(folder, cache=cache, cache_bytes=10)


def machine_of(num_bytes: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_memory, "available_memory", lambda: num_bytes)


def test_a_batch_larger_than_the_memory_is_refused_with_all_numbers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_of(10**6, monkeypatch)
    needed = 3 * 2**20 * (ROW_FORMAT.row_bytes + 64)
    message = (
        rf"^batch_rows={2**20}: the {2**20} rows of a batch that are read here, in 3 batches at a "
        rf"time, need {needed} bytes of memory, and 1000000 are left; give a smaller "
        r"batch_rows \(`train\.batch_rows`"
    )
    with pytest.raises(UserError, match=message):
        RowStream(folder, batch_rows=2**20)


def test_only_what_is_read_here_needs_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine_of(10**6, monkeypatch)
    with RowStream(folder, batch_rows=2**20, rank=3, world_size=2**10) as stream:
        assert len(next(stream)) == 2**10
    with RowStream(folder, batch_rows=MAX_BATCH_ROWS, epochs=1) as stream:
        assert len(next(stream)) == ROWS


def test_where_memory_is_not_known_nothing_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_of(None, monkeypatch)
    with RowStream(folder, batch_rows=2**20, epochs=1) as stream:
        assert len(next(stream)) == ROWS


def test_memory_that_the_system_does_not_give_is_one_message(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    with RowStream(folder, batch_rows=16) as stream:
        with monkeypatch.context() as patch:
            patch.setattr(batches, "gather_parts", fail)
            with pytest.raises(UserError, match=r"^batch_rows=16: .* the system does not give; "):
                next(stream)
        assert next(stream).consumed_rows == 16


def test_a_run_whose_batch_does_not_fit_is_not_begun(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_of(10**6, monkeypatch)
    with pytest.raises(UserError, match=r"`train\.batch_rows`"):
        run_training(tmp_path / "run", built, batch_rows=2**20)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("order", ["global", "windowed"])
def test_a_process_may_go_elsewhere(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    monkeypatch.chdir(folder.parent)
    with RowStream(folder.name, order=order, epochs=1) as stream:
        monkeypatch.chdir(tmp_path)
        assert sum(map(len, stream)) == ROWS
