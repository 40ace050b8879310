"""Splitting: which rule splits which document, and parameters that survive a trip through JSON."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from nltk.tokenize.punkt import PunktSentenceTokenizer, PunktTrainer

from pipeline.sentences import Splitter, load_splitter, train_splitter
from pipeline.splitters.cjk import cjk_spans
from pipeline.splitters.punkt_training import empty_tables
from schemas.errors import InputError

CHINESE = "他说：“好。”然后走了。No. 1是什么？"  # noqa: RUF001 (full-width marks)
ENGLISH = "Dr. Smith paid 3.50 to Mr. Jones in the U.S. last week. He left."


@pytest.fixture
def english(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> Splitter:
    monkeypatch.setenv("NLTK_DATA", str(shared_data / "nltk_data"))
    return load_splitter("english")


def test_a_trained_splitter_gives_the_spans_of_nltk(texts: list[str], splitter: Splitter) -> None:
    trainer = PunktTrainer()
    for text in texts:
        trainer.train(text, finalize=False)
    trainer.finalize_training()
    nltk_tokenizer = PunktSentenceTokenizer(trainer.get_params())
    for text in [*texts, CHINESE, ENGLISH]:
        assert splitter.spans(text) == list(nltk_tokenizer.span_tokenize(text))


@pytest.mark.parametrize("by", ["script", "field", "fixed"])
def test_a_splitter_survives_json_with_the_same_spans_and_digest(
    tmp_path: Path, texts: list[str], splitter: Splitter, by: str
) -> None:
    original = Splitter(splitter.parameters, by)
    path = tmp_path / "splitter.json"
    path.write_text(original.to_json(), encoding="utf-8")
    loaded = load_splitter(path)
    assert (loaded.by, loaded.digest) == (by, original.digest)
    for text in [*texts, CHINESE, ENGLISH]:
        assert loaded.spans(text) == original.spans(text)
    assert load_splitter(path, by="fixed").by == "fixed"


def test_the_digest_tells_all_that_decides_spans_apart(splitter: Splitter) -> None:
    empty = empty_tables()
    ways = [(by, rule) for by in ("script", "field", "fixed") for rule in ("punkt", "cjk")]
    digests = {Splitter(empty, by, rule).digest for by, rule in ways}
    assert len(digests | {splitter.digest}) == 7


def test_training_is_deterministic(texts: list[str], splitter: Splitter) -> None:
    assert train_splitter(texts).digest == splitter.digest


def test_training_by_script_learns_nothing_from_chinese(texts: list[str]) -> None:
    mixed = [CHINESE * 20, *texts[:3], CHINESE]
    assert train_splitter(mixed, by="script").parameters == train_splitter(texts[:3]).parameters
    assert train_splitter([CHINESE] * 5, by="field").parameters == empty_tables()
    assert train_splitter([" ", ""]).parameters == empty_tables()
    assert train_splitter(["...", "12 "]).spans("A. B") == [(0, 4)]


def test_one_rule_splits_all_when_fixed(english: Splitter, splitter: Splitter) -> None:
    for punkt in (english, splitter):
        assert punkt.spans(CHINESE, "zh") == punkt.spans(CHINESE) != cjk_spans(CHINESE)
    for name in ("chinese", "japanese", "zh"):
        assert load_splitter(name).spans(CHINESE, "en") == cjk_spans(CHINESE)
        assert load_splitter(name).spans(ENGLISH) == cjk_spans(ENGLISH)


def test_the_letters_choose_the_rule_by_script(english: Splitter) -> None:
    by_script = Splitter(english.parameters, by="script")
    for language in ("", "en", "zh"):
        assert by_script.spans(CHINESE, language) == cjk_spans(CHINESE)
        assert by_script.spans(ENGLISH, language) == english.spans(ENGLISH)
    korean = "안녕하세요? 서울A.반갑습니다. 漢字."
    assert by_script.spans(korean) == english.spans(korean)
    assert not by_script.is_cjk(korean)


def test_the_language_chooses_the_rule_by_field(english: Splitter) -> None:
    by_field = Splitter(english.parameters, by="field")
    for language in ("zh", "zh-CN", "Chinese", "ja", "jp", "JAPANESE"):
        assert by_field.spans(ENGLISH, language) == cjk_spans(ENGLISH)
    for language in ("en", "english", "de", "ko"):
        assert by_field.spans(CHINESE, language) == english.spans(CHINESE)
    for language in ("", "  "):
        assert by_field.spans(CHINESE, language) == cjk_spans(CHINESE)
        assert by_field.spans(ENGLISH, language) == english.spans(ENGLISH)


def test_english_is_found_below_nltk_data(
    english: Splitter, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = english.spans(ENGLISH)
    assert [ENGLISH[start:stop] for start, stop in spans][1:] == ["He left."]
    tables = shared_data / "nltk_data" / "tokenizers" / "punkt_tab" / "english"
    assert load_splitter(tables).digest == english.digest
    (tmp_path / "english").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_splitter("english").digest == english.digest


def test_a_stored_splitter_loads_at_once_and_without_nltk(
    tmp_path: Path, english: Splitter
) -> None:
    path = tmp_path / "splitter.json"
    path.write_text(english.to_json(), encoding="utf-8")
    seconds = []
    for _ in range(3):
        start = time.process_time()
        load_splitter(path).spans(ENGLISH)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.1
    code = (
        "import sys; from pipeline.sentences import load_splitter; "
        f"load_splitter({str(path)!r}).spans('A b. C d.'); sys.exit('nltk' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_splitter_says_where_it_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLTK_DATA", "/nowhere")
    with pytest.raises(InputError, match=r"splitter 'klingon': .*looked in /nowhere/.*klingon"):
        load_splitter("klingon")
    with pytest.raises(InputError, match="no such file or folder"):
        load_splitter("../punkt_tab/english")
    monkeypatch.delenv("NLTK_DATA")
    with pytest.raises(InputError, match="NLTK_DATA is not set"):
        load_splitter("english")


def test_an_unknown_way_of_assigning_rules_is_refused() -> None:
    with pytest.raises(InputError, match=r"by='letters'.*script, field, fixed"):
        Splitter(empty_tables(), by="letters")


def test_a_file_that_is_no_splitter_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "splitter.json"
    whole = json.loads(Splitter(empty_tables()).to_json())
    wrong = {
        "lacks punkt": {name: whole[name] for name in ("version", "by", "rule")},
        "lacks abbreviations": whole | {"punkt": {}},
        "version 9": whole | {"version": 9},
        "rule='x'": whole | {"rule": "x"},
        "unpack": whole | {"punkt": whole["punkt"] | {"collocations": [["a"]]}},
        "a word is no text": whole | {"punkt": whole["punkt"] | {"abbreviations": [1]}},
        "invalid literal": whole | {"punkt": whole["punkt"] | {"orthography": {"a": "b"}}},
        "not a splitter file": [],
    }
    for message, content in wrong.items():
        path.write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(InputError, match=message):
            load_splitter(path)
    path.write_text("not json")
    with pytest.raises(InputError, match="not a splitter file"):
        load_splitter(path)


def test_a_folder_without_good_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read this Punkt table .No such file"):
        load_splitter(tmp_path)
    for name in ("abbrev_types.txt", "collocations.tab", "sent_starters.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "ortho_context.tab").write_text("word without flags\n")
    with pytest.raises(InputError, match="malformed Punkt tables"):
        load_splitter(tmp_path)
    (tmp_path / "ortho_context.tab").write_text("a\u2028b\t6\n")
    assert load_splitter(tmp_path).parameters["orthography"] == {"a\u2028b": 6}


def test_any_parameters_survive_json(tmp_path: Path) -> None:
    choose = random.Random(3)
    words = ["\ud800", "é", "\u2028", '"', "a\tb", *(chr(choose.randrange(0x3000)) for _ in "1234")]
    tables = empty_tables() | {"abbreviations": sorted(words), "orthography": {"\ud800": 2}}
    path = tmp_path / "splitter.json"
    path.write_text(Splitter(tables).to_json(), encoding="utf-8")
    assert load_splitter(path).parameters == tables
