"""Statistics: what is counted is there, sums have no order, and a wrong sampler stops the build."""

import json
from collections import Counter
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.build import BuildRequest, build_dataset
from jobs.summary import build_summary
from pipeline.assemble import Rules
from pipeline.dataset import open_dataset
from pipeline.engines.choice import choose_engine
from pipeline.laws.gate import check_laws, manifest_statistics
from pipeline.laws.goodness_of_fit import compare
from pipeline.laws.lengths import LENGTH_BINS, UNIT
from pipeline.laws.statistics import SplitStatistics, describe, total
from pipeline.objectives import OBJECTIVES as TABLE
from pipeline.objectives import corrupt
from pipeline.window_batch import WindowBatch
from schemas.build_config import BuildConfig, ObjectiveConfig
from schemas.checked import parse
from schemas.errors import DatasetError
from schemas.names import MANIFEST_NAME
from schemas.objectives import IGNORE_INDEX
from schemas.record import Histograms, ItemRecord, ObjectiveStatistics, TallySums
from schemas.samples import Span, Window
from tests.corpus import NoProgress, small_config
from tests.strategies import KEYS, OBJECTIVES, SPECIAL, VOCAB_SIZE, windows, windows_with_spans
from tests.window_batches import batch_of, drawn, random_batch, span_batch

MASKS = {SPECIAL.mask, SPECIAL.gmask, SPECIAL.smask} | {
    SPECIAL.sentinel(number)[0] for number in range(SPECIAL.num_sentinels // 2)
}


def rules_of(objective: ObjectiveConfig) -> Rules:
    return Rules(objective, SPECIAL, VOCAB_SIZE, 1024)


def collected(
    batch: WindowBatch, objective: ObjectiveConfig
) -> tuple[ObjectiveStatistics, Counter]:
    counts: Counter[str] = Counter()
    statistics = SplitStatistics("train", [rules_of(objective)], ["x"], counts)
    statistics.add(batch, choose_engine("batched").draw(batch, [rules_of(objective)], True))
    return statistics.to_record()["x"], counts


@given(st.lists(windows_with_spans(), min_size=1, max_size=6))
def test_histograms_agree_with_a_loop(pairs: list[tuple[Window, list[Span]]]) -> None:
    pairs = [(window, list(spans)) for window, spans in pairs if spans]
    framing = {(w.first > w.prompt, len(w.tokens) > w.last) for w, _ in pairs}
    if len(framing) != 1:
        return
    objective = ObjectiveConfig(kind="causal_lm")
    batch = batch_of([window for window, _ in pairs], [0] * len(pairs))
    found = describe(drawn(batch, span_batch([spans for _, spans in pairs])), rules_of(objective))
    for group, is_short in ((found.lawful, False), (found.short, True)):
        own = [pair for pair in pairs if (len(pair[0].tokens) < 32) == is_short]
        lengths = Counter(span.stop - span.start for _, spans in own for span in spans)
        coverage = Counter(
            min(19, 20 * sum(b - a for a, b in spans) // len(window.tokens))
            for window, spans in own
        )
        assert group.windows == len(own)
        assert group.span_lengths == tuple(
            lengths[n] for n in range(1, max(lengths, default=0) + 1)
        )
        assert group.coverage == tuple(coverage[part] for part in range(20))
        assert sum(group.spans_per_window) == len(own)


@given(windows(), OBJECTIVES, KEYS)
def test_masks_and_labels_are_those_of_the_sample(
    window: Window, objective: ObjectiveConfig, key: int
) -> None:
    _, counts = collected(batch_of([window], [key]), objective)
    sample = corrupt(window, rules_of(objective), key, True)
    assert counts["train.x.mask_tokens"] == np.isin(sample.tokens, list(MASKS)).sum()
    assert counts["train.x.label_tokens"] == (sample.labels != IGNORE_INDEX).sum()
    assert counts["train.x.part_a_tokens"] == sample.boundary
    assert counts["train.x.part_b_tokens"] == len(sample.tokens) - sample.boundary


@given(OBJECTIVES, st.lists(st.integers(0, 400), max_size=3), st.booleans())
def test_sums_over_items_are_those_of_one_big_item(
    objective: ObjectiveConfig, cuts: list[int], reverse: bool
) -> None:
    batch = random_batch(400, sizes=(4, 120))
    edges = sorted({0, 400, *cuts})
    parts = [collected(batch.part(slice(a, b)), objective)[0] for a, b in pairwise(edges)]
    assert total(parts[::-1] if reverse else parts) == collected(batch, objective)[0]


@given(OBJECTIVES)
def test_a_record_keeps_the_statistics(objective: ObjectiveConfig) -> None:
    found, _ = collected(random_batch(40), objective)
    text = json.dumps(asdict(found))
    assert parse(ObjectiveStatistics, json.loads(text)) == found


def test_length_bins_reach_beyond_the_longest_window() -> None:
    assert LENGTH_BINS[:64].tolist() == list(range(1, 65))
    assert (np.diff(LENGTH_BINS) > 0).all()
    assert LENGTH_BINS[-2] * 2 > 2**20


def test_spans_that_break_a_rule_stop_the_build_and_name_objective_and_window() -> None:
    batch = random_batch(50, sizes=(40, 60))
    counts: Counter[str] = Counter()
    statistics = SplitStatistics("train", [rules_of(ObjectiveConfig(kind="blank"))], ["x"], counts)
    with pytest.raises(AssertionError, match=r"objective 'x' \(blank\): .* 50 windows break"):
        statistics.add(batch, span_batch([[Span(31, 34)]] * 50))


def sums(observed: list[int], expected: list[int]) -> ObjectiveStatistics:
    empty = describe(drawn(random_batch(1), span_batch([[Span(2, 3)]])), rules_of(BLANK)).short
    units = [tuple(number * UNIT for number in column) for column in (observed, expected)]
    return ObjectiveStatistics(empty, empty, {"places": TallySums(70, *units)})


BLANK = ObjectiveConfig(kind="blank")


def test_the_gate_names_objective_law_and_what_to_do(tmp_path: Path) -> None:
    config = small_config()
    check_laws(str(tmp_path), {"train": {"blank": sums([60, 40], [50, 50])}}, config)
    refused = {"train": {"blank": sums([600, 400], [500, 500])}}
    message = (
        r"train objective 'blank' \(blank\) does not follow its law of places: p = 1e-10 \(limit "
        r"1e-9\) and total variation 0\.1000 .*: 600 \(500\.0\), 400 \(500\.0\)\. .* delete the"
    )
    with pytest.raises(DatasetError, match=message):
        check_laws(str(tmp_path), refused, config)


def build(corpus: Path, output: Path, config: BuildConfig, executor: str = "serial") -> None:
    build_dataset(BuildRequest(config, [corpus], output, executor, 2), NoProgress())


def test_a_correct_build_says_what_was_found_against_each_law(built: Path) -> None:
    manifest = open_dataset(built).manifest
    for split in ("train", "heldout"):
        objectives = manifest.statistics[split]["objectives"]
        laws = {name: set(part["laws"]) for name, part in objectives.items()}
        assert laws["blank"] == {"span_lengths", "places"}
        assert laws["document"] == {"span_lengths", "places"}
        assert laws["sentence"] == {"first_sentences"}
        for part in objectives.values():
            histograms = part["histograms"]
            assert part["windows"] + part["short_windows"] == part["samples"]
            assert sum(histograms["coverage"]) == part["windows"]
            assert sum(histograms["spans_per_window"]) == part["windows"]
            for law in part["laws"].values():
                assert law["windows"] + law["windows_apart"] == part["samples"]
                assert law["log10_p"] > -4
    assert "as declared: places p=" in build_summary(built, manifest)


def push_to_the_start(window: Window, objective: ObjectiveConfig, key: int) -> list[Span]:
    (span,) = TABLE["prefix"].sample(window, replace(objective, min_span_ratio=0.5), key)
    length = min(span.stop - span.start, window.last - window.first)
    return [Span(window.first, window.first + length)]


def test_a_wrong_sampler_fails_the_build_before_the_manifest_is_written(
    tmp_path: Path, corpus: Path, config: BuildConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TABLE, "document", replace(TABLE["document"], sample=push_to_the_start))
    with pytest.raises(DatasetError, match=r"objective 'document' .* its law of"):
        build(corpus, tmp_path / "d", config)
    assert not (tmp_path / "d" / MANIFEST_NAME).exists()
    assert any((tmp_path / "d" / "records").rglob("*.json"))


def test_an_objective_without_a_law_is_built_and_the_summary_says_so(
    tmp_path: Path, corpus: Path, config: BuildConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = replace(TABLE["document"], sample=push_to_the_start, law=None)
    monkeypatch.setitem(TABLE, "document", line)
    build(corpus, tmp_path / "d", config)
    manifest = open_dataset(tmp_path / "d").manifest
    assert manifest.statistics["train"]["objectives"]["document"]["laws"] is None
    assert "no law declared: nothing checked" in build_summary(tmp_path / "d", manifest)


def test_a_few_windows_never_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLE, "document", replace(TABLE["document"], sample=push_to_the_start))
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "x.txt").write_text("One sentence after the other is written here. " * 16)
    document = {"document": ObjectiveConfig(kind="document")}
    build(tmp_path / "c", tmp_path / "d", small_config(heldout_ratio=0.0, objective=document))
    assert open_dataset(tmp_path / "d").manifest.rows["train"] > 0


def test_a_rule_alone_and_identical_documents_are_shown(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    for name in ("x", "y"):
        text = "One sentence after the other is written here. " * 30
        (tmp_path / "c" / f"{name}.txt").write_text(text)
    causal = {"causal": ObjectiveConfig(kind="causal_lm")}
    build(tmp_path / "c", tmp_path / "d", small_config(heldout_ratio=0.0, objective=causal))
    manifest = open_dataset(tmp_path / "d").manifest
    summary = build_summary(tmp_path / "d", manifest)
    samples = manifest.counts["train.causal.samples"]
    assert f"rule kept in all {samples} windows" in summary
    assert "kept, though identical to others: 1" in summary


def test_the_summary_tells_what_was_checked_from_what_had_too_few_windows(built: Path) -> None:
    manifest = open_dataset(built).manifest
    part = manifest.statistics["train"]["objectives"]["document"]
    none = compare([], [])._asdict() | {"windows": 0, "windows_apart": part["samples"]}
    laws = {"places": none, "span_lengths": part["laws"]["span_lengths"]}
    for unchecked, expected in (
        (laws, f"off by {laws['span_lengths']['total_variation']:.2%} in"),
        ({"places": none}, "      too few windows for places"),
    ):
        changed = part | {"laws": unchecked, "share_asked": None, "deviation": None}
        statistics = {"train": manifest.statistics["train"] | {"objectives": {"x": changed}}}
        shown = build_summary(built, replace(manifest, statistics=statistics))
        assert expected in shown
        assert "too few windows for places" in shown
        assert "in 0 windows" not in shown
        assert "(asked" not in shown


def test_records_hold_integers_that_add_up_to_the_manifest(built: Path) -> None:
    paths = (built / "records").rglob("*.json")
    found = total([ItemRecord.from_json(path.read_text(), "x").statistics for path in paths])
    objectives = open_dataset(built).manifest.statistics["train"]["objectives"]
    assert found["train"].keys() == objectives.keys()
    for name, part in objectives.items():
        assert list(found["train"][name].lawful.span_lengths) == part["histograms"]["span_lengths"]


@pytest.mark.parametrize("mix_by", ["samples", "tokens"])
def test_shares_are_of_what_is_mixed_and_of_all_for_prompted_data(mix_by: str) -> None:
    objectives = {
        "blank": ObjectiveConfig(kind="blank", share=0.3),
        "prefix": ObjectiveConfig(kind="prefix", share=0.6),
        "instruction": ObjectiveConfig(kind="instruction", share=0.1),
    }
    config = small_config(objective=objectives, mix_by=mix_by)
    none = Histograms(0, (), (), ())
    nothing = dict.fromkeys(objectives, ObjectiveStatistics(none, none, {}))
    counts = {"train.windows.dropped.too_short": 3}
    for name, samples, tokens in (("blank", 2, 10), ("prefix", 4, 40), ("instruction", 4, 50)):
        counts |= {f"train.{name}.samples": samples, f"train.{name}.window_tokens": tokens}
        for what in ("spans", "part_a", "part_b", "masked", "mask", "label"):
            counts[f"train.{name}.{what}" + "_tokens" * (what != "spans")] = samples
    rows = {"train": 1, "heldout": 0}
    found = manifest_statistics(counts, {"train": nothing}, config, rows)["train"]
    shares = {name: part["share"] for name, part in found["objectives"].items()}
    asked = {name: part["share_asked"] for name, part in found["objectives"].items()}
    assert found["windows_dropped"] == {"too_short": 3}
    assert asked == {"blank": 0.333333, "prefix": 0.666667, "instruction": None}
    by_samples = {"blank": 0.333333, "prefix": 0.666667, "instruction": 0.4}
    assert shares == (
        by_samples if mix_by == "samples" else {"blank": 0.2, "prefix": 0.8, "instruction": 0.5}
    )
    assert found["objectives"]["instruction"]["deviation"] is None
    deviation = found["objectives"]["blank"]["deviation"]
    assert deviation == (0.0 if mix_by == "samples" else -0.133333)
