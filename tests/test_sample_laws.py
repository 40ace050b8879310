"""Laws of samples on disk: what was built obeys them, and what damage they find and cannot find."""

import os
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.assemble import assemble_blanks
from pipeline.engines.choice import choose_engine
from pipeline.objectives import BLANKS, IN_PLACE, OBJECTIVES, Objective
from pipeline.packing import decode_row
from pipeline.restore import restore_blanks
from pipeline.sample_checks.sample_laws import Checked, SampleLaws
from pipeline.spans import sample_blanks
from pipeline.tools import Tools
from schemas.build_config import BuildConfig, ObjectiveConfig
from schemas.samples import ORIGIN_COLUMNS, Sample
from tests import strategies
from tests.sample_rows import MIXTURES, SIZES, Packed, pack
from tests.strategies import SPECIAL, VOCAB_SIZE

TRIALS = 1000 if os.environ.get("BLANKSTREAM_FULL") else 30


@pytest.fixture(scope="module", params=sorted(MIXTURES))
def packed(request: pytest.FixtureRequest) -> Packed:
    return pack(MIXTURES[request.param])


def told(checked: Checked) -> list[str]:
    return [str(problem) for problem in checked.problems]


def objectives_of_any_numbers() -> st.SearchStrategy[ObjectiveConfig]:
    ratio = st.sampled_from([0.0, 1.0]) | st.floats(0, 1)
    return st.builds(
        ObjectiveConfig,
        kind=st.sampled_from(sorted(set(OBJECTIVES) - {"instruction"})),
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
        samples_per_window=st.integers(1, 3),
    )


@st.composite
def recipes(draw: st.DrawFn) -> BuildConfig:
    """One or two objectives, and instructions or not, under any options of the build."""
    known = strategies.OBJECTIVES.filter(lambda one: one.kind != "instruction")
    found = draw(st.lists(known | objectives_of_any_numbers(), min_size=1, max_size=2))
    named = {f"o{number}": one for number, one in enumerate(found)}
    if draw(st.booleans()):
        named["instruction"] = ObjectiveConfig(
            kind="instruction", share=draw(st.sampled_from([0, 1]))
        )
    return BuildConfig(
        objective=named,
        window_tokens=draw(st.integers(24, 120)),
        row_tokens=360,
        max_samples=draw(st.integers(1, 6)),
        add_cls=draw(st.booleans()),
        add_eos=draw(st.booleans()),
        shuffle_spans=draw(st.booleans()),
        block_positions=draw(st.booleans()),
        sentinels=draw(st.booleans()),
        short_window_ratio=draw(st.sampled_from([0.0, 0.5])),
    )


@given(recipes(), st.integers(1, 2**31), st.booleans())
def test_what_any_recipe_gives_obeys_the_laws(
    recipe: BuildConfig, seed: int, has_keys: bool
) -> None:
    packed = pack(recipe, documents=12, tokens=250, seed=seed)
    checked = packed.check(packed.keys if has_keys else None)
    assert told(checked) == []
    assert checked.rows == len(packed.arrays.rows)
    assert sum(checked.samples.values()) == (packed.arrays.origin[3] > 0).sum()


def test_samples_are_counted_by_objective(packed: Packed) -> None:
    codes = packed.arrays.rows[:, packed.row_format.slices["objectives"]]
    counts = Counter(codes[codes > 0].tolist())
    names = packed.row_format.objectives
    assert packed.check().samples == {name: counts[n] for n, name in enumerate(names, start=1)}
    assert all(counts.values())


@pytest.mark.parametrize("name", ["plain", "compiled"])
def test_every_engine_finds_the_same(packed: Packed, name: str) -> None:
    engine = choose_engine(name)
    assert told(packed.check(packed.keys, engine)) == []
    damaged = packed.having(0, "labels", 40, 17)
    assert told(damaged.check(None, engine)) == told(damaged.check())


def test_no_rows_have_no_problems(packed: Packed) -> None:
    arrays = packed.arrays
    none = replace(
        packed, arrays=arrays._replace(rows=arrays.rows[:0], origin=arrays.origin[:, :0])
    )
    assert told(none.check()) == []


@dataclass(frozen=True)
class Damage:
    """One number of a row that was changed, and what it belongs to; no sample for padding."""

    row: int
    name: str
    place: int
    old: int
    new: int


def random_damage(packed: Packed, row: int, rng: np.random.Generator) -> Damage:
    """Any number of the row; parts of few numbers as often as others."""
    form = packed.row_format
    name = str(rng.choice(list(form.slices)))
    values = packed.arrays.rows[row, form.slices[name]]
    place = int(rng.integers(len(values)))
    old, near = int(values[place]), int(rng.integers(-2, 3))
    others = [0, form.ignore, VOCAB_SIZE, *SPECIAL.ids(VOCAB_SIZE)[:9], int(rng.integers(1800))]
    new = int(rng.choice([old + near, old + near, int(rng.choice(others))])) % (form.ignore + 1)
    return Damage(row, name, place, old, new if new != old else old ^ 1)


def is_blind_spot(packed: Packed, damage: Damage, has_keys: bool) -> bool:
    """Whether the docstring of `sample_laws.py` says that the damage may go unseen."""
    slices, row = packed.row_format.slices, packed.arrays.rows[damage.row]
    if damage.name == "objectives":
        return gives_same_form(packed, damage)
    if damage.name not in ("tokens", "labels"):
        return False
    stops = np.cumsum(row[slices["lengths"]].astype(int))
    number = int(np.searchsorted(stops, damage.place, side="right"))
    samples = decode_row(row, packed.row_format)
    if number >= len(samples):
        return False
    sample, place = samples[number], damage.place - int(stops[number]) + len(samples[number].tokens)
    rules = packed.rules[sample.objective - 1]
    form = OBJECTIVES[rules.objective.kind].form
    is_noise = form is BLANKS and bool(
        (sample.tokens[place + 1 : place + 2] == SPECIAL.noise).any()
    )
    if damage.name == "labels":
        if form is IN_PLACE and not (has_keys and packed.arrays.origin[1, damage.row, number]):
            return {damage.old, damage.new} & special_labels(packed) <= {packed.row_format.ignore}
        is_last = place == len(sample.tokens) - 1
        is_seen = form is not IN_PLACE or sample.tokens[place] == damage.old
        return is_ordinary(damage.old, damage.new) and (is_noise or is_last or not is_seen)
    _, spans = form.restore(sample, rules)
    found = list(form.locate(sample, spans))
    ranges = [part for one in found for part in (one.blank, one.inputs)]
    if not any(start <= place < stop for start, stop in ranges):
        return is_ordinary(damage.old, damage.new)
    return not has_keys and (form is IN_PLACE or SPECIAL.noise in (damage.old, damage.new))


def special_labels(packed: Packed) -> set[int]:
    return {*SPECIAL.ids(VOCAB_SIZE), *range(VOCAB_SIZE, packed.row_format.ignore + 1)}


def is_ordinary(*tokens: int) -> bool:
    return not set(tokens) & set(SPECIAL.ids(VOCAB_SIZE)) and max(tokens) < VOCAB_SIZE


def gives_same_form(packed: Packed, damage: Damage) -> bool:
    """Whether both codes are of the recipe, of one form and of one mask token."""
    if not (damage.old and 0 < damage.new <= len(packed.rules)):
        return False
    one, other = (packed.rules[code - 1] for code in (damage.old, damage.new))
    forms = [OBJECTIVES[rules.objective.kind].form for rules in (one, other)]
    return forms[0] is forms[1] and one.mask == other.mask


@pytest.mark.parametrize("has_keys", [False, True])
def test_every_changed_number_is_found_but_in_the_blind_spots(
    packed: Packed, has_keys: bool
) -> None:
    rng, looked_at = np.random.default_rng(has_keys), 0
    for _ in range(TRIALS):
        rows = packed.arrays.rows.copy()
        damages = [random_damage(packed, row, rng) for row in range(len(rows))]
        for damage in damages:
            place = packed.row_format.slices[damage.name].start + damage.place
            rows[damage.row, place] = damage.new
        damaged = replace(packed, arrays=packed.arrays._replace(rows=rows))
        found = {
            problem.row for problem in damaged.check(packed.keys if has_keys else None).problems
        }
        for damage in damages:
            if not is_blind_spot(packed, damage, has_keys):
                assert damage.row in found, damage
                looked_at += 1
    assert looked_at > TRIALS * len(packed.arrays.rows) // 2


@given(st.sampled_from(sorted(MIXTURES)), st.integers(0, 2**32 - 1), st.integers(1, 3000))
def test_whatever_the_damage_nothing_is_raised(name: str, seed: int, count: int) -> None:
    packed, rng = pack(MIXTURES[name], documents=6), np.random.default_rng(seed)
    rows = packed.arrays.rows.copy()
    at = rng.integers(0, rows.size, count)
    kinds = rng.integers(0, 3, count)
    values = np.choose(kinds, [rng.integers(0, 1 << 16, count), rng.choice(rows.flat, count), 7])
    rows.reshape(-1)[at] = values
    damaged = replace(packed, arrays=packed.arrays._replace(rows=rows))
    problems = damaged.check().problems
    assert problems or count < 100
    assert {problem.row for problem in problems} <= set(
        np.flatnonzero((rows != packed.arrays.rows).any(1))
    )


def first_of(packed: Packed, name: str) -> tuple[int, Sample]:
    """The first row that begins with a sample of the objective `name`, and that sample."""
    code = packed.row_format.objectives.index(name) + 1
    codes = packed.arrays.rows[:, packed.row_format.slices["objectives"].start]
    row = int(np.flatnonzero(codes == code)[0])
    return row, decode_row(packed.arrays.rows[row], packed.row_format)[0]


@pytest.mark.parametrize(("mixture", "name"), [("glm", "blank"), ("glm", "sentence")])
def test_a_kept_token_that_is_another_is_not_seen(mixture: str, name: str) -> None:
    packed = pack(MIXTURES[mixture])
    row, sample = first_of(packed, name)
    kept = np.flatnonzero(sample.tokens[: sample.boundary] > SPECIAL.noise).tolist()
    for place in kept[::9]:
        other = 9 + (int(sample.tokens[place]) + 1) % 900
        assert packed.having(row, "tokens", place, other).problems(packed.keys) == []
        damaged = packed.having(row, "tokens", place, SPECIAL.noise)
        assert damaged.problems()[0].startswith(f"row {row}, sample 0: token 8 at place ")


def test_an_objective_of_the_same_form_and_mask_may_not_be_seen() -> None:
    packed = pack(MIXTURES["glm"])
    row, sample = first_of(packed, "instruction")
    damaged = packed.having(row, "objectives", 0, packed.row_format.objectives.index("prefix") + 1)
    assert sample.boundary > 2
    assert told(damaged.check()) == told(damaged.check(packed.keys)) == []
    for code in (1, 2, 5):
        assert told(packed.having(row, "objectives", 0, code).check())


def test_a_number_beyond_the_vocabulary_is_told_where_it_stands() -> None:
    packed = pack(MIXTURES["glm"])
    row, _ = first_of(packed, "blank")
    for name in ("tokens", "labels"):
        assert packed.having(row, name, 3, VOCAB_SIZE).problems() == [
            f"row {row}, sample 0: {name}, place 3 of the sample: expected {VOCAB_SIZE - 1}, "
            f"found {VOCAB_SIZE}"
        ]


def test_a_sample_that_is_not_of_its_form_cannot_be_read_back() -> None:
    packed = pack(MIXTURES["glm"])
    row, sample = first_of(packed, "document")
    mask = np.flatnonzero(sample.tokens == SPECIAL.gmask)[0]
    assert packed.having(row, "tokens", int(mask), SPECIAL.smask).problems() == [
        f"row {row}, sample 0: its spans cannot be read back from labels, positions and mask "
        "tokens: expected the form of its objective (docs/objectives.md)"
    ]


def test_start_and_stop_are_those_of_the_window() -> None:
    packed = pack(MIXTURES["baselines"])
    for column in (2, 3):
        value = int(packed.arrays.origin[column, 0, 0])
        damaged = packed.from_elsewhere(0, 0, ORIGIN_COLUMNS[column], value + 1)
        assert any("a window of" in what for what in damaged.problems())


def test_another_document_is_seen_with_keys() -> None:
    packed = pack(MIXTURES["baselines"], documents=3, tokens=900)
    row = int(np.flatnonzero((packed.arrays.origin[0] == 2).any(axis=1))[-1])
    last = int(np.flatnonzero(packed.arrays.origin[3, row])[-1])
    elsewhere = packed.from_elsewhere(row, last, "document", 3)
    assert elsewhere.problems(packed.keys)[-1] == (
        f"row {row}, sample {last}: document 3: expected one of the item's 3"
    )
    fourth = np.append(packed.keys, np.uint64(77))
    assert elsewhere.problems() == []
    assert "which the document's key draws" in elsewhere.problems(fourth)[-1]


def test_problems_stand_in_the_order_of_the_rows() -> None:
    packed = pack(MIXTURES["glm"])
    for row in (5, 2, 9):
        packed = packed.having(row, "positions", 1, 70).having(row, "tokens", 299, 7)
    found = [(problem.row, problem.sample) for problem in packed.check().problems]
    assert [row for row, _ in found] == sorted(row for row, _ in found)
    assert {(2, 0), (5, 0), (9, 0)} <= set(found)


def test_the_laws_are_those_of_the_tools_of_a_data_set() -> None:
    packed = pack(MIXTURES["glm"])
    engine = choose_engine("batched")
    tools = Tools(packed.config, None, None, packed.row_format, packed.rules, engine)  # type: ignore
    laws = SampleLaws.of(tools)
    assert laws == SampleLaws(packed.config, packed.rules, packed.row_format, engine)


def test_a_kind_that_the_engines_do_not_know_is_checked_by_its_definition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = replace(
        BLANKS,
        assemble=lambda *of: assemble_blanks(*of),
        restore=lambda *of: restore_blanks(*of),
    )
    monkeypatch.setitem(OBJECTIVES, "slow", Objective(sample_blanks, slow))
    packed = pack(BuildConfig(objective={"slow": ObjectiveConfig(kind="slow")}, **SIZES), 5)
    assert told(packed.check()) == told(packed.check(packed.keys)) == []
    assert len(packed.having(0, "labels", 8, 5).check().problems) == 1
