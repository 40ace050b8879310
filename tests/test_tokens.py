"""Tokenizing: unit by unit, restoring the text, with special tokens that text cannot spell."""

import json
import os
import random
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sentences import Splitter
from pipeline.tokens import (
    DESCRIPTION_NAME,
    load_tokenizer,
    open_tokenizer,
    read_description,
    save_tokenizer,
)
from pipeline.vocabularies.layouts import PIECES
from pipeline.vocabularies.tokenizer import Tokenizer, cut_units
from schemas.build_config import TokenizerConfig
from schemas.errors import ConfigError, DatasetError, InputError, MissingPackageError
from schemas.samples import RowFormat
from tests.vocabularies import WRITERS, write_wordpiece

KINDS = ("trained", "wordpiece", "bpe", "unigram", "prefixed", "words")
SHARED_KINDS = ("bert-base-uncased", "gpt2", "roberta", "glm-chinese")
FOREIGN = ("<s>", "</s>", "<unk>", "<mask>", "[PAD]", "[SEP]", "<|endoftext|>", "<|added|>")
SPELT = (*PIECES.values(), *FOREIGN, "[MASK1]", "<sop1>", "\ufdd0", "\n", "a")
WORDS = st.text("abcdefgh XYZé0123,.'-#[]<>|/中文。", min_size=1).map(str.strip).filter(bool)
UNITS = st.lists(st.builds("{}{}".format, st.sampled_from(["", " ", "\n", " \n "]), WORDS))


Find = Callable[[str], Tokenizer]


@pytest.fixture(scope="session")
def find(
    request: pytest.FixtureRequest, tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory
) -> Find:
    """Tokenizers by name: one of every kind, and those of the shared folder."""

    @lru_cache
    def of(name: str) -> Tokenizer:
        if name == "trained":
            return tokenizer
        folder = tmp_path_factory.mktemp(name)
        if name in WRITERS:
            WRITERS[name](folder)
        else:
            folder = request.getfixturevalue("shared_data") / "tokenizers" / name
        return load_tokenizer(folder)

    return of


def encoded(tokenizer: Tokenizer, units: Sequence[str]) -> list[int]:
    ids: list[int] = tokenizer.encode(units)[0].tolist()
    return ids


def in_one_space(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).split())


every_kind = pytest.mark.parametrize("name", [*KINDS, *SHARED_KINDS])


@every_kind
@given(parts=st.lists(st.sampled_from(SPELT)))
def test_text_that_spells_a_special_token_is_never_one(
    find: Find, name: str, parts: list[str]
) -> None:
    special = find(name).special.to_mapping()
    hidden = {special[key] for key in PIECES}
    for text in ("".join(parts), " ".join(parts)):
        assert not hidden & set(encoded(find(name), [text])), text


def test_added_special_tokens_that_are_none_of_ours_are_text_too(find: Find) -> None:
    tokenizer = find("prefixed")
    assert tokenizer.decode(encoded(tokenizer, [" a<|added|><unk>b"])) == "a<|added|><unk>b"


@every_kind
def test_every_sentence_end_is_a_token_boundary(
    find: Find, name: str, texts: list[str], splitter: Splitter
) -> None:
    tokenizer = find(name)
    units = [u for text in texts for u in cut_units(text, splitter.spans(text), tokenizer.opening)]
    units += ["中文。", "中文", "\n中文。", ""]
    ids, counts = tokenizer.encode(units)
    assert (ids.dtype, counts.dtype, len(counts)) == (np.int32, np.int64, len(units))
    edges = [0, *np.cumsum(counts).tolist()]
    for place in random.Random(1).sample(range(len(units)), 150):
        np.testing.assert_array_equal(
            ids[edges[place] : edges[place + 1]], encoded(tokenizer, [units[place]])
        )
    empty, none = tokenizer.encode([])
    assert (empty.shape, empty.dtype, none.shape) == ((0,), np.int32, (0,))


@pytest.mark.parametrize("name", ["bpe", "gpt2", "roberta"])
@given(units=UNITS)
def test_byte_level_bpe_restores_the_text_itself(find: Find, name: str, units: list[str]) -> None:
    assert find(name).decode(encoded(find(name), units)) == "".join(units)


@pytest.mark.parametrize("name", ["trained", "glm-chinese", "unigram"])
@given(units=UNITS)
def test_pieces_with_a_space_mark_restore_the_text_with_one_space(
    find: Find, name: str, units: list[str]
) -> None:
    tokenizer = find(name)
    units = [tokenizer.opening + unit for unit in units[:1]] + units[1:]
    assert tokenizer.decode(encoded(tokenizer, units)) == in_one_space("".join(units))


@pytest.mark.parametrize("name", ["wordpiece", "bert-base-uncased"])
@given(units=UNITS)
def test_decoded_word_pieces_have_the_same_ids(find: Find, name: str, units: list[str]) -> None:
    tokenizer = find(name)
    known = [
        unit for unit in units if "[UNK]" not in map(tokenizer.piece, encoded(tokenizer, [unit]))
    ]
    ids = encoded(tokenizer, [unit if unit[0].isspace() else f" {unit}" for unit in known])
    assert encoded(tokenizer, [tokenizer.decode(ids)]) == ids


@pytest.mark.parametrize("name", ["trained", "bpe", "wordpiece", "gpt2", "bert-base-uncased"])
def test_decoding_restores_real_text(
    find: Find, name: str, texts: list[str], splitter: Splitter
) -> None:
    tokenizer = find(name)
    for text in texts:
        ids = encoded(tokenizer, cut_units(text, splitter.spans(text), tokenizer.opening))
        decoded = tokenizer.decode(ids)
        if tokenizer.kind == "bpe":
            assert decoded == text.strip()
        elif tokenizer.kind == "sentencepiece":
            assert decoded == in_one_space(text)
        elif "[UNK]" not in decoded:
            assert encoded(tokenizer, [decoded]) == ids


def test_chinese_sentences_are_joined_without_a_space(find: Find) -> None:
    tokenizer = find("glm-chinese")
    text = "北京大学是一所大学。它在北京。 你好,世界"
    units = cut_units(text, [(0, 10), (10, 15), (16, 21)], tokenizer.opening)
    assert units == [" 北京大学是一所大学。", "它在北京。", " 你好,世界"]
    assert tokenizer.decode(encoded(tokenizer, units)) == text


@pytest.mark.parametrize("name", ["trained", "bpe", "unigram", "prefixed", "wordpiece"])
def test_a_fragment_has_the_ids_it_has_inside_its_sentence(find: Find, name: str) -> None:
    tokenizer = find(name)
    whole = encoded(tokenizer, [" the name is naming."])
    parts = [tokenizer.encode_fragment(text) for text in (" the name is ", " naming", ".")]
    assert [*parts[0], *parts[1], *parts[2]] == whole
    assert tokenizer.encode_fragment(" ") == tokenizer.encode_fragment("") == []


def test_known_texts_have_the_ids_of_the_original_tokenizers(find: Find) -> None:
    bert = find("bert-base-uncased")
    assert encoded(bert, ["Hello, World!"]) == [7592, 1010, 2088, 999]
    assert encoded(find("gpt2"), ["Hello world"]) == [15496, 995]
    assert encoded(find("roberta"), ["Hello world"]) == [31414, 232]
    assert encoded(find("glm-chinese"), [" 北京大学。"]) == [41579, 43361]
    names = [find(name).layout for name in SHARED_KINDS]
    assert names == ["bert", "gpt2", "roberta", "chinese"]
    assert bert.vocab_size == 30527


def test_pieces_are_readable(find: Find, shared_data: Path) -> None:
    gpt2 = load_tokenizer(shared_data / "tokenizers" / "gpt2", TokenizerConfig(sentinels=7))
    pieces = [gpt2.piece(token) for token in encoded(gpt2, ["a dog\n\té北"])]
    assert pieces == ["a", "Ġdog", "Ċ", "ĉ", "é", "\\xe5\\x8c", "\\x97"]
    assert [gpt2.piece(token) for token in gpt2.special.sentinel(7)] == ["[MASK7]", "<sop7>"]
    assert [gpt2.piece(token) for token in (50256, 50261, 50280, -1)] == [
        "<eos>",
        "<50261>",
        "<50280>",
        "<-1>",
    ]
    assert gpt2.decode([15496, 50260, 50266, 50279, 995]) == "Hello world"
    assert find("unigram").piece(2) == "<unk>"
    assert find("prefixed").piece(find("prefixed").special.mask) == "[MASK]"


def test_specials_a_vocabulary_has_are_reused(find: Find) -> None:
    ids = find("unigram").special
    assert ids.mask == 0
    assert ids.pad == find("unigram").vocab_size - len(PIECES) + 1
    assert find("wordpiece").special.cls == 2


def test_a_vocabulary_too_large_for_16_bits_gets_wider_rows(find: Find) -> None:
    sizes = {name: find(name).vocab_size for name in ("words", "trained")}
    assert sizes["words"] == 70_000 + len(PIECES) - 1
    types = [RowFormat.for_vocabulary(size, 64, 2, ("blank",)).dtype for size in sizes.values()]
    assert types == ["uint32", "uint16"]
    assert encoded(find("words"), ["w69999 w2"]) == [69999, 2]


@pytest.mark.parametrize("setting", [None, "true", "maybe"])
def test_threads_are_set_for_a_call_and_put_back(
    find: Find, monkeypatch: pytest.MonkeyPatch, setting: str | None
) -> None:
    expected = encoded(find("bpe"), ["the king"] * 100)
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    if setting:
        monkeypatch.setenv("TOKENIZERS_PARALLELISM", setting)
    assert encoded(find("bpe"), ["the king"] * 100) == expected
    assert os.environ.get("TOKENIZERS_PARALLELISM") == setting


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads in /proc")
def test_a_call_starts_no_threads(find: Find, tmp_path: Path) -> None:
    save_tokenizer(find("bpe"), tmp_path, {})
    code = (
        "import os, sys; from pathlib import Path; from pipeline.tokens import open_tokenizer\n"
        "opened = open_tokenizer(Path(sys.argv[1])); before = len(os.listdir('/proc/self/task'))\n"
        "opened.encode(['the king'] * 100); print(len(os.listdir('/proc/self/task')) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=os.environ | {"RAYON_NUM_THREADS": "4"},
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    assert done.stdout.strip() == "0"


@every_kind
def test_a_stored_tokenizer_is_opened_as_it_was(find: Find, name: str, tmp_path: Path) -> None:
    tokenizer = find(name)
    save_tokenizer(tokenizer, tmp_path, {"seed": 1})
    opened = open_tokenizer(tmp_path)
    units = [" the name", "is  naming.\n", "中文"]
    assert encoded(opened, units) == encoded(tokenizer, units)
    assert opened.describe() == tokenizer.describe()
    assert read_description(tmp_path)["trained"] == {"seed": 1}
    stored = {path.name for path in tmp_path.iterdir()}
    assert stored == {DESCRIPTION_NAME, *tokenizer.files}


def test_layout_and_sentinels_are_stored_and_part_of_the_digest(
    shared_data: Path, tmp_path: Path
) -> None:
    path = shared_data / "tokenizers" / "bert-base-uncased" / "vocab.txt"
    configs = [TokenizerConfig(layout=name, sentinels=5) for name in ("bert", "bert-sentinels")]
    first, second = (load_tokenizer(path, config) for config in configs)
    assert first.digest != second.digest
    assert first.vocab_size == second.vocab_size == 30537
    save_tokenizer(second, tmp_path, {})
    assert open_tokenizer(tmp_path).special == second.special


@pytest.mark.fault
@pytest.mark.parametrize("name", ["trained", "bpe"])
def test_a_stored_tokenizer_that_was_changed_is_refused(
    find: Find, name: str, tmp_path: Path
) -> None:
    save_tokenizer(find(name), tmp_path, {})
    file = tmp_path / next(iter(find(name).files))
    content = file.read_bytes()
    file.write_bytes(content + b"\n")
    with pytest.raises(DatasetError, match=rf"{file.name}: SHA-256 .*expected"):
        open_tokenizer(tmp_path)
    file.unlink()
    with pytest.raises(DatasetError, match=rf"{file.name}: cannot be read .*blankstream repair"):
        open_tokenizer(tmp_path)
    file.write_bytes(content)
    path = tmp_path / DESCRIPTION_NAME
    described = json.loads(path.read_text())
    described["special"]["num_sentinels"] = 1
    path.write_text(json.dumps(described))
    with pytest.raises(DatasetError, match=r"description\.json: says SHA-256 .* but its files"):
        open_tokenizer(tmp_path)


@pytest.mark.fault
@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"kind": "bpe", "layout": "own"}'])
def test_a_description_that_cannot_be_read_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / DESCRIPTION_NAME).write_text(content)
    with pytest.raises(
        DatasetError, match=r"description\.json: cannot be read .*run `blankstream repair`"
    ):
        open_tokenizer(tmp_path)


def test_a_folder_must_hold_one_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no tokenizer; expected a SentencePiece model"):
        load_tokenizer(tmp_path)
    for name in ("a.model", "b.model"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match="has 2 SentencePiece models"):
        load_tokenizer(tmp_path)
    with pytest.raises(InputError, match="cannot read the tokenizer"):
        load_tokenizer(tmp_path / "missing.model")


def test_a_layout_that_does_not_fit_is_refused_with_the_file(tmp_path: Path) -> None:
    write_wordpiece(tmp_path)
    with pytest.raises(ConfigError, match=r"vocab\.txt: build\.tokenizer\.layout='bert' expects"):
        load_tokenizer(tmp_path, TokenizerConfig(layout="bert"))


def test_each_kind_needs_its_own_library_alone(
    find: Find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, absent in (("trained", "tokenizers"), ("bpe", "sentencepiece")):
        save_tokenizer(find(name), tmp_path / name, {})
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, absent, None)
            open_tokenizer(tmp_path / name)
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, {"bpe": "tokenizers"}.get(name, "sentencepiece"), None)
            with pytest.raises(MissingPackageError, match=r"^the tokenizer needs .*\[train\]"):
                open_tokenizer(tmp_path / name)
