"""GLM's special ids: a table that fits its vocabularies, and a rule for every other one."""

import json
from collections.abc import Mapping
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.vocabularies.layouts import LAYOUTS, OWN, PIECES, TokenLayout, Vocabulary, lay_out
from schemas.errors import ConfigError
from schemas.objectives import SpecialTokens
from tests.oracle import oracle_path

NAMES = st.sampled_from(sorted(LAYOUTS))
SENTINELS = st.integers(0, 600)


def vocabulary(layout: TokenLayout, **changes: int) -> Vocabulary:
    """One that `layout` fits, unless `changes` to the ids of its marks prevent it."""
    return Vocabulary(layout.kind, layout.size, {**layout.marks, **changes}.get, {})


def plain(size: int, controls: Mapping[str, int] | None = None) -> Vocabulary:
    return Vocabulary("unigram", size, lambda _: None, controls or {})


def all_ids(special: SpecialTokens) -> list[int]:
    pairs = (special.sentinel(n + 1) for n in range(special.num_sentinels))
    return [*(getattr(special, name) for name in PIECES), *chain.from_iterable(pairs)]


def test_the_ids_are_those_of_the_released_models() -> None:
    order = ("pad", "eos", "cls", "mask", "start", "end", "gmask", "smask", "noise")
    rows = {
        name: tuple(getattr(layout.special(0), field) for field in order)
        for name, layout in LAYOUTS.items()
    }
    chinese = (50000, 50000, 50002, 50003, 50006, 50007, 50009, 50008, 50010)
    assert rows == {
        "bert": (0, 0, 101, 103, 30522, 30523, 30524, 30525, 30526),
        "bert-sentinels": (0, 0, 101, 103, 30522, 30523, 30524, 30525, 30526),
        "gpt2": (50256, 50256, 50259, 50260, 50257, 50258, 50263, 50264, 50265),
        "roberta": (2, 2, 0, 50264, 50265, 50266, 50267, 50268, 50269),
        "chinese": chinese,
        "chinese-10b": chinese,
    }


@given(NAMES, SENTINELS)
def test_ids_are_apart_but_for_pad_and_eos(name: str, sentinels: int) -> None:
    layout = LAYOUTS[name]
    ids = all_ids(layout.special(sentinels))
    assert ids[0] == ids[2]
    assert len(set(ids)) == len(ids) - 1
    assert not set(ids) & set(layout.reserved)


@given(NAMES, SENTINELS)
def test_no_id_belongs_to_an_ordinary_piece(name: str, sentinels: int) -> None:
    layout = LAYOUTS[name]
    inside = {token for token in all_ids(layout.special(sentinels)) if token < layout.size}
    assert inside <= set(layout.marks.values())


@given(NAMES, SENTINELS)
def test_sentinels_stand_behind_all_else_unless_the_layout_says_otherwise(
    name: str, sentinels: int
) -> None:
    layout = LAYOUTS[name]
    special = layout.special(sentinels)
    fixed = [getattr(special, key) for key in layout.ids]
    assert special.first_sentinel == 1 + max(layout.size - 1, *fixed, *layout.reserved)
    behind = [getattr(special, key) for key in layout.behind_sentinels]
    start = special.first_sentinel + 2 * sentinels
    assert behind == list(range(start, start + len(behind)))


@pytest.mark.oracle
def test_sentinels_of_the_reference_have_its_ids() -> None:
    path = oracle_path("sample_cases.json")
    expected = json.loads(path.read_text(encoding="utf-8"))["special"]
    special = LAYOUTS["bert-sentinels"].special(511)
    assert [special.sentinel(i) for i in (1, 2, 511)] == [
        (30524, 30525),
        (30526, 30527),
        (31544, 31545),
    ]
    plain_bert = LAYOUTS["bert"].special(0)
    assert {name: getattr(plain_bert, name) for name in expected} == expected


def test_the_layout_that_fits_is_taken_where_none_is_named() -> None:
    chosen = {name: lay_out(vocabulary(layout), "", 0)[0] for name, layout in LAYOUTS.items()}
    assert chosen == {
        "bert": "bert",
        "bert-sentinels": "bert",
        "gpt2": "gpt2",
        "roberta": "roberta",
        "chinese": "chinese",
        "chinese-10b": "chinese",
    }


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_a_layout_that_does_not_fit_is_refused(name: str) -> None:
    layout = LAYOUTS[name]
    mark = next(iter(layout.marks))
    moved = vocabulary(layout, **{mark: 7777})
    assert lay_out(moved, "", 0)[0] == OWN
    for misfit in (plain(layout.size), moved, Vocabulary(layout.kind, 9, layout.marks.get, {})):
        with pytest.raises(ConfigError, match=f"layout='{name}' expects {layout.kind} with"):
            lay_out(misfit, name, 0)


def test_an_unknown_layout_is_refused_with_the_choices() -> None:
    with pytest.raises(ConfigError, match=r"layout is 'brt'; choose from bert, .*, own"):
        lay_out(plain(10), "brt", 0)


@given(st.integers(1, 10**6), SENTINELS)
def test_every_other_vocabulary_gets_its_specials_behind_it(size: int, sentinels: int) -> None:
    name, special = lay_out(plain(size), "", sentinels)
    assert name == OWN
    assert all_ids(special) == list(range(size, size + len(PIECES) + 2 * sentinels))


@given(st.dictionaries(st.sampled_from(sorted(PIECES.values())), st.integers(0, 99)))
def test_control_pieces_a_vocabulary_has_keep_their_ids(controls: dict[str, int]) -> None:
    _, special = lay_out(plain(100, controls), OWN, 0)
    behind = [name for name, piece in PIECES.items() if piece not in controls]
    assert [getattr(special, name) for name in behind] == list(range(100, 100 + len(behind)))
    for name in set(PIECES) - set(behind):
        assert getattr(special, name) == controls[PIECES[name]]


def test_copying_rows_moves_the_released_chinese_weights_to_ids_of_their_own() -> None:
    rows = {50007: "end and gmask", 50009: "noise", 50010: "untrained"}
    for source, target in LAYOUTS["chinese-10b"].row_copies:
        rows[target] = rows[source]
    special = LAYOUTS["chinese-10b"].special(0)
    assert rows[special.end] == rows[special.gmask] == "end and gmask"
    assert rows[special.noise] == "noise"
