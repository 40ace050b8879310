"""The engines: the batched and the compiled one give, bit for bit, what the plain one gives."""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.build import BuildRequest, build_dataset
from pipeline import objectives
from pipeline.assemble import Rules
from pipeline.engines import batched, compiled_cache, plain
from pipeline.engines.choice import ENGINE_VARIABLE, ENGINES, choose_engine
from pipeline.objectives import BLANKS, OBJECTIVES, Objective
from pipeline.packing import Packer, empty_rows
from pipeline.window_batch import Engine, Ints, Placement, Rows, SpanBatch, WindowBatch, merge
from schemas.build_config import ObjectiveConfig
from schemas.errors import ConfigError
from schemas.samples import RowFormat, Span, Window
from tests import strategies
from tests.corpus import NoProgress, small_config
from tests.strategies import FIRST_TEXT_TOKEN, KEYS, SPECIAL, VOCAB_SIZE
from tests.test_lineage import MIXTURES, write_corpus

FAST = ("batched", "compiled")
LONG_SPECIAL = replace(SPECIAL, num_sentinels=900)
"""Enough sentinels for windows of thousands of tokens."""


@dataclass(frozen=True)
class Case:
    """What an engine is asked to do."""

    windows: WindowBatch
    rules: Sequence[Rules]
    shuffle: bool


@st.composite
def any_rules(draw: st.DrawFn) -> Rules:
    """The objectives of `strategies`, and any numbers for the same kinds."""
    ratio = st.floats(0, 1)
    drawn = st.builds(
        ObjectiveConfig,
        kind=st.sampled_from(sorted(OBJECTIVES)),
        mask=st.sampled_from(["mask", "gmask", "smask"]),
        mask_ratio=st.floats(0, 0.5),
        span_lengths=st.sampled_from(["poisson", "geometric"]),
        mean_span_tokens=st.floats(0.1, 100),
        max_span_tokens=st.integers(1, 60),
        min_span_ratio=ratio,
        single_span_ratio=ratio,
        noise_ratio=ratio,
        random_positions=st.booleans(),
        replace_ratio=ratio,
        random_ratio=ratio,
    )
    return draw(strategies.rules(strategies.OBJECTIVES | drawn))


@st.composite
def batches(draw: st.DrawFn, num_objectives: int, max_text: int = 120) -> WindowBatch:
    """Up to a dozen windows over one run of tokens, with gaps between them or not."""
    count = draw(st.integers(0, 12))
    prompts = [draw(st.integers(0, 9)) * draw(st.booleans()) for _ in range(count)]
    texts = [draw(st.integers(1 if prompt else 2, max_text)) for prompt in prompts]
    lengths = np.array([sum(pair) for pair in zip(prompts, texts, strict=True)], np.int64)
    gaps = [draw(st.integers(0, 3)) for _ in range(count)]
    offsets = np.cumsum(gaps) + np.cumsum(lengths) - lengths
    ends, inside = [], []
    for offset, prompt, text in zip(offsets.tolist(), prompts, texts, strict=True):
        cuts = draw(st.sets(st.integers(1, text), max_size=8))
        ends += [offset + prompt + cut for cut in sorted(cuts)]
        inside.append(len(cuts))
    stop_ends = np.array(list(itertools.accumulate(inside)), np.int64)
    numbers = st.lists(st.integers(0, 2**20), min_size=count, max_size=count)
    of = st.lists(st.integers(0, num_objectives - 1), min_size=count, max_size=count)
    keys = draw(st.lists(KEYS, min_size=count, max_size=count))
    return WindowBatch(
        tokens=np.arange(sum(gaps) + lengths.sum(), dtype=np.int32) % 700 + FIRST_TEXT_TOKEN,
        sentence_ends=np.array(ends, np.int64),
        offsets=offsets.astype(np.int64),
        lengths=lengths,
        prompts=np.array(prompts, np.int64),
        first_ends=stop_ends - np.array(inside, np.int64),
        stop_ends=stop_ends,
        keys=np.array(keys, np.uint64),
        numbers=np.array(draw(numbers), np.int64),
        starts=np.zeros(count, np.int64),
        documents=np.zeros(count, np.int64),
        objectives=np.array(draw(of), np.int64),
        cls=draw(st.booleans()),
        eos=draw(st.booleans()),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A batch, and rules for its objectives."""
    rules = draw(st.lists(any_rules(), min_size=1, max_size=4))
    return Case(draw(batches(len(rules))), rules, draw(st.booleans()))


def sample_sizes(case: Case, spans: SpanBatch) -> Ints:
    """(w,) Tokens of each sample."""
    forms = [OBJECTIVES[one.objective.kind].form for one in case.rules]
    triples = zip(case.windows.objectives, case.windows.sizes, spans.counts, strict=True)
    return np.array([forms[one].size(size, count) for one, size, count in triples], np.int64)


def write_rows(engine: Engine, case: Case, spans: SpanBatch, dtype: str) -> np.ndarray:
    """Packed rows, which held 7 everywhere before."""
    sizes = sample_sizes(case, spans)
    row_format = RowFormat(int(sizes.max(initial=0)) + 40, 3, dtype, ("some",))
    packer = Packer(row_format.row_tokens, row_format.max_samples)
    at = [np.array(values, np.int64) for values in zip(*map(packer.place, sizes), strict=True)]
    placement = Placement(*(at or [np.empty(0, np.int64)] * 3))
    rows = Rows(empty_rows(len(sizes), row_format, 0), row_format)
    rows.values[...] = 7
    engine.write(case.windows, spans, case.rules, placement, rows)
    return rows.values


def assert_agrees(engine: Engine, case: Case) -> None:
    """`engine` draws and writes what the plain one does."""
    expected = plain.draw(case.windows, case.rules, case.shuffle)
    drawn = engine.draw(case.windows, case.rules, case.shuffle)
    for name in ("edges", "starts", "stops"):
        np.testing.assert_array_equal(getattr(drawn, name), getattr(expected, name), err_msg=name)
        assert getattr(drawn, name).dtype == np.int64
    for dtype in ("uint16", "uint32"):
        rows = write_rows(engine, case, drawn, dtype)
        np.testing.assert_array_equal(rows, write_rows(plain, case, drawn, dtype))


@pytest.mark.parametrize("name", FAST)
@given(case=cases())
@settings(max_examples=3 * settings().max_examples)
def test_a_fast_engine_agrees_with_the_plain_one(name: str, case: Case) -> None:
    assert_agrees(choose_engine(name), case)


def long_batch(sizes: Sequence[int], objective: int = 0) -> WindowBatch:
    """Windows of those sizes, framed, with a sentence every 20 tokens."""
    lengths = np.array(sizes, np.int64)
    offsets = np.cumsum(lengths) - lengths
    inner = [np.arange(20, size, 20) for size in sizes]
    stop_ends = np.cumsum([len(ends) for ends in inner])
    ends = [offset + ends for offset, ends in zip(offsets, inner, strict=True)]
    zeros = np.zeros_like(lengths)
    return WindowBatch(
        tokens=np.arange(lengths.sum(), dtype=np.int32) % 700 + FIRST_TEXT_TOKEN,
        sentence_ends=np.concatenate(ends),
        offsets=offsets,
        lengths=lengths,
        prompts=zeros,
        first_ends=stop_ends - [len(ends) for ends in inner],
        stop_ends=stop_ends,
        keys=np.arange(len(sizes), dtype=np.uint64) * np.uint64(0xDEADBEEFCAFEF00D),
        numbers=zeros,
        starts=zeros,
        documents=zeros,
        objectives=zeros + objective,
        cls=True,
        eos=True,
    )


@pytest.mark.parametrize("name", FAST)
@pytest.mark.parametrize("kind", sorted(OBJECTIVES))
def test_long_windows_agree(name: str, kind: str) -> None:
    config = ObjectiveConfig(
        kind=kind, mask_ratio=0.5, single_span_ratio=0.1, noise_ratio=0.2, random_positions=True,
        replace_ratio=0.5, random_ratio=0.3,
    )  # fmt: skip
    for sentinels in (False, True):
        rules = [Rules(config, LONG_SPECIAL, 3000, 4000, sentinels=sentinels)]
        assert_agrees(choose_engine(name), Case(long_batch([2500, 60, 2]), rules, True))


@pytest.mark.parametrize("name", FAST)
def test_every_window_of_few_tokens_agrees(name: str) -> None:
    """Every size from 2 on, where what is drawn has to be shortened, for many keys."""
    sizes = [size for size in range(2, 34) for _ in range(8)]
    for kind in OBJECTIVES:
        for mean in (3.0, 30.0):
            config = ObjectiveConfig(kind=kind, mean_span_tokens=mean, mask_ratio=0.4)
            rules = [Rules(config, SPECIAL, VOCAB_SIZE, 64)]
            assert_agrees(choose_engine(name), Case(long_batch(sizes), rules, True))


@pytest.mark.parametrize("name", FAST)
@pytest.mark.parametrize("kind", sorted(OBJECTIVES))
def test_spans_may_stand_in_any_order(name: str, kind: str) -> None:
    config = ObjectiveConfig(kind=kind, mask_ratio=0.3, replace_ratio=0.4, random_ratio=0.4)
    case = Case(long_batch([60, 90, 40]), [Rules(config, SPECIAL, VOCAB_SIZE, 512)], True)
    drawn = plain.draw(case.windows, case.rules, True)
    reverse = np.concatenate(
        [np.arange(b - 1, a - 1, -1) for a, b in itertools.pairwise(drawn.edges)]
    )
    spans = SpanBatch(drawn.starts[reverse], drawn.stops[reverse], drawn.edges)
    rows = write_rows(choose_engine(name), case, spans, "uint16")
    np.testing.assert_array_equal(rows, write_rows(plain, case, spans, "uint16"))


def test_small_steps_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [Rules(ObjectiveConfig(kind="blank"), SPECIAL, VOCAB_SIZE, 512)]
    case = Case(long_batch(range(2, 90)), rules, True)
    monkeypatch.setattr(batched, "STEP_TOKENS", 100)
    assert len(list(batched.steps(case.windows))) > 40
    assert_agrees(choose_engine("batched"), case)


@given(case=cases(), data=st.data())
def test_parts_of_windows_and_spans_put_together_again_are_the_whole(
    case: Case, data: st.DataObject
) -> None:
    spans = plain.draw(case.windows, case.rules, case.shuffle)
    order = np.array(data.draw(st.permutations(range(len(case.windows)))), np.int64)
    cut = data.draw(st.integers(0, len(order)))
    halves = [order[:cut], order[cut:]]
    parts = [(chosen, spans.part(chosen)) for chosen in halves]
    merged = merge(parts, len(order))
    for name in ("starts", "stops", "edges"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(spans, name))
    inside = slice(cut, len(order))
    for one, other in (
        (case.windows.part(inside), case.windows.part(np.arange(len(order))[inside])),
        (spans.part(inside), spans.part(np.arange(len(order))[inside])),
    ):
        for name in type(one).__slots__:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for chosen, part in parts:
        again = plain.draw(case.windows.part(chosen), case.rules, case.shuffle)
        np.testing.assert_array_equal(again.starts, part.starts)


@pytest.mark.parametrize("mixture", sorted(MIXTURES))
def test_every_engine_builds_the_same_bytes(
    mixture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(tmp_path / "text.jsonl")
    config = small_config(item_bytes=1 << 20, **MIXTURES[mixture])
    found = []
    for engine in ENGINES:
        monkeypatch.setenv(ENGINE_VARIABLE, engine)
        request = BuildRequest(config, [tmp_path / "text.jsonl"], tmp_path / engine, "serial", 1)
        build_dataset(request, NoProgress())
        files = sorted(path for path in (tmp_path / engine).rglob("*") if path.is_file())
        found.append({str(p.relative_to(tmp_path / engine)): p.read_bytes() for p in files})
    assert any(name.endswith(".arrow") for name in found[0])
    assert found[0] == found[1] == found[2]


def sample_ends(window: Window, objective: ObjectiveConfig, key: int) -> list[Span]:
    """A sampler that no engine knows: the first and the last token."""
    return [Span(window.first, window.first + 1), Span(window.last - 1, window.last)]


@pytest.mark.parametrize("name", FAST)
def test_an_objective_that_an_engine_does_not_know_is_written_all_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OBJECTIVES, "ends", Objective(sample_ends, BLANKS))
    plain_form = replace(BLANKS, assemble=lambda *given: BLANKS.assemble(*given))
    monkeypatch.setitem(OBJECTIVES, "odd", Objective(objectives.sample_blanks, plain_form))
    kinds = ("blank", "ends", "odd", "causal_lm")
    rules = [Rules(ObjectiveConfig(kind=kind), SPECIAL, VOCAB_SIZE, 512) for kind in kinds]
    batch = long_batch([50, 9, 70, 30, 8, 101, 64, 90])
    mixed = replace(batch, objectives=np.array([0, 1, 2, 3, 1, 0, 2, 1]))
    assert_agrees(choose_engine(name), Case(mixed, rules, True))
    assert_agrees(
        choose_engine(name), Case(replace(batch, objectives=mixed.objectives * 0 + 1), rules, True)
    )


def test_the_compiled_engine_writes_nothing_outside_a_row() -> None:
    engine = choose_engine("compiled")
    rules = [Rules(ObjectiveConfig(kind="blank"), SPECIAL, VOCAB_SIZE, 512)]
    batch, row_format = long_batch([100]), RowFormat(110, 2, "uint16", ("blank",))
    spans = engine.draw(batch, rules, True)
    for row, first, place in ((0, 0, 0), (1, 0, 0), (-1, 0, 0), (0, -1, 0), (0, 0, 2)):
        rows = Rows(np.zeros((1, row_format.width), np.uint16), row_format)
        placement = Placement(*(np.array([value]) for value in (row, first, place)))
        with pytest.raises(AssertionError, match="sample of window 0 outgrows its row"):
            engine.write(batch, spans, rules, placement, rows)
        assert not rows.values.any()


def test_compiled_code_is_kept_where_a_folder_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    chosen = compiled_cache.cache_folder(str(tmp_path / "chosen"))
    assert chosen == tmp_path / "chosen" / chosen.name
    in_home = compiled_cache.cache_folder(str(blocked))
    assert in_home == tmp_path / "home" / ".cache" / "blankstream" / chosen.name
    monkeypatch.setenv("HOME", str(blocked))
    assert compiled_cache.cache_folder(str(blocked)) is None


@pytest.mark.parametrize("damage", ["group", "others", "owner", "link"])
def test_compiled_code_that_others_could_have_written_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = compiled_cache.cache_folder(str(tmp_path / "chosen"))
    assert folder is not None
    assert folder.stat().st_mode & 0o777 == 0o700
    if damage == "link":
        folder.rename(tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")
    elif damage == "owner":
        monkeypatch.setattr(compiled_cache.os, "geteuid", lambda: os.getuid() + 1)
    else:
        folder.chmod({"group": 0o720, "others": 0o702}[damage])
    found = compiled_cache.cache_folder(str(tmp_path / "chosen"))
    in_home = tmp_path / "home" / ".cache" / "blankstream" / folder.name
    assert found == (None if damage == "owner" else in_home)


def test_compiled_code_of_other_versions_is_removed_when_it_was_long_not_used(
    tmp_path: Path,
) -> None:
    names = [f"compiled-{digit * 16}" for digit in "0123"] + ["compiled-mine", "other"]
    old = time.time() - compiled_cache.UNUSED_SECONDS - 60
    for name in names:
        (tmp_path / name / "inner").mkdir(parents=True, mode=0o755)
        (tmp_path / name / "inner" / "code.nbi").write_text("x")
        (tmp_path / name).chmod(0o755)
        os.utime(tmp_path / name, (old, old) if name != names[1] else None)
    (tmp_path / names[2]).chmod(0o777)
    (tmp_path / names[3]).rename(tmp_path / "target")
    (tmp_path / names[3]).symlink_to(tmp_path / "target")
    own = compiled_cache.cache_folder(str(tmp_path))
    assert own is not None
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*names[1:], "target", own.name}
    assert (tmp_path / "target" / "inner" / "code.nbi").exists()
    os.utime(own, (old, old))
    assert compiled_cache.cache_folder(str(tmp_path)) == own
    assert own.stat().st_mtime > old + 60


def test_kernels_compile_without_a_folder_to_keep_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_cache, "cache_folder", lambda chosen: None)
    assert compiled_cache.kernel(lambda number: number + 1)(3) == 4


def test_an_engine_is_chosen_by_name_by_environment_or_by_what_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(ENGINE_VARIABLE, raising=False)
    assert choose_engine() == choose_engine("compiled")
    monkeypatch.setenv(ENGINE_VARIABLE, "plain")
    assert choose_engine() is plain
    assert choose_engine("batched") != plain
    monkeypatch.setenv(ENGINE_VARIABLE, "fast")
    with pytest.raises(ConfigError, match="BLANKSTREAM_ENGINE='fast': expected one of plain, bat"):
        choose_engine()


def test_without_numba_the_batched_engine_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENGINE_VARIABLE, raising=False)
    monkeypatch.setattr("pipeline.engines.choice.find_spec", lambda name: None)
    assert choose_engine() == choose_engine("batched")
    with pytest.raises(ConfigError, match="needs numba: pip install numba"):
        choose_engine("compiled")


def test_numba_is_imported_only_when_the_compiled_engine_is_chosen() -> None:
    code = (
        "import sys; from pipeline.engines.choice import choose_engine; choose_engine('batched');"
        "assert 'numba' not in sys.modules; choose_engine('compiled');"
        "assert 'numba' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
