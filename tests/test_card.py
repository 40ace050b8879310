"""The card of a data set: what it says, and that what anybody typed acts nowhere."""

import json
import tomllib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from jobs.pages import markdown_text as markdown
from jobs.pages.card import SHOWN_INPUTS, Sources, render_card
from jobs.visible import visible
from schemas.build_config import BuildConfig
from schemas.card_config import CardInfo
from schemas.config import parse_config, to_mapping
from schemas.manifest import Manifest
from tests.manifests import DIGEST, manifest_of

BUILD = {
    name: value
    for name, value in to_mapping(BuildConfig(window_tokens=128)).items()
    if name not in ("passes", "tokenizer")
}
RECIPE = {
    "schema_version": 3,
    "build": BUILD,
    "splitter_sha256": "56" * 32,
    "libraries": {"sentencepiece": "0.2", "pyarrow": "26.0"},
    "unicode": "14.0.0",
}
SOURCES = Sources(("a b/c.jsonl", "d`e|f.txt"), 2, 1_905_699, 2, RECIPE)
HOSTILE = [
    "# no heading",
    "1. no list",
    "- no list",
    "> no quote",
    "| no | table |",
    "<script>alert(1)</script>",
    "[no](http://link) ![no](image)",
    "*no* _emphasis_ **at** ~~all~~ `code`",
    "---",
    "===",
    "~~~",
    "&lt; &amp; $math$",
    "\\*",
    "line\n# one\n- two",
    'quote " colon: # comment',
    "\x1b[31m\u202e\u2028\x85",
    "    indented",
    "{{ template }} {% raw %}",
    "1986\\. What a year",
]
MARKDOWN = MarkdownIt("gfm-like", {"linkify": False})


def parsed(text: str) -> list[Token]:
    return MARKDOWN.parse(text)


def inline_text(text: str) -> str:
    """Text of `text`'s only paragraph, which must hold nothing but text and links."""
    opening, inline, closing = parsed(text)
    assert (opening.type, closing.type) == ("paragraph_open", "paragraph_close")
    children = inline.children or []
    kinds = {child.type for child in children}
    assert kinds <= {"text", "text_special", "link_open", "link_close"}
    return "".join(child.content for child in children)


def head_and_body(card: str) -> tuple[dict[str, object], str]:
    opening, head, body = card.split("---\n", 2)
    assert opening == ""
    content = yaml.safe_load(head)
    assert isinstance(content, dict)
    return content, body


def card_of(info: CardInfo | None = None, **changes: object) -> str:
    return render_card("the name", manifest_of(**changes), SOURCES, info or CardInfo())


@pytest.mark.parametrize("text", HOSTILE)
def test_what_anybody_typed_is_shown_as_typed(text: str) -> None:
    assert inline_text(markdown.plain(text)) == " ".join(visible(text).split())


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_text_is_shown_as_typed(text: str) -> None:
    expected = " ".join(markdown.clean(text).split())
    shown = markdown.plain(text)
    assert inline_text(shown) == expected if expected else shown == ""
    cells = parsed(markdown.table(("a", "b"), [(shown, markdown.cell(text))]))
    inlines = [token for token in cells if token.type == "inline"]
    assert len(inlines) == 4
    code = [child for child in inlines[3].children or [] if child.type == "code_inline"]
    assert len(code) == 1
    assert yaml.safe_load(f"key: {markdown.yaml_text(text)}") == {"key": markdown.clean(text)}


@given(st.text(st.sampled_from("`|~ \nab"), max_size=30))
def test_blocks_of_code_hold_any_fence(text: str) -> None:
    (token,) = parsed(markdown.block(text, "toml"))
    assert token.type == "fence"
    assert token.content.rstrip("\n") == markdown.clean(text).rstrip()


def test_addresses_become_links_and_paragraphs_stay() -> None:
    shown = markdown.paragraphs("See https://example.org/a_b?c=1 now\n\nand *this*\r\n\r\n")
    assert shown == "See <https://example.org/a_b?c=1> now\n\nand \\*this\\*"
    assert "<javascript:" not in markdown.plain("javascript:alert(1) http://x<y")


def test_the_head_has_the_keys_of_hubs() -> None:
    head, _ = head_and_body(card_of(CardInfo(title='My: "set"', license="CC-BY-4.0")))
    assert head == {
        "pretty_name": 'My: "set"',
        "license": "cc-by-4.0",
        "size_categories": ["1K<n<10K"],
        "tags": ["blankstream", "glm", "pretraining", "span-corruption"],
        "viewer": False,
    }
    own, _ = head_and_body(card_of(CardInfo(license="Ours: ask\n- us")))
    assert (own["license"], own["license_name"]) == ("other", "Ours: ask - us")
    none, body = head_and_body(card_of())
    assert (none["license"], none["pretty_name"]) == ("unknown", "the name")
    assert body.count("not stated.") == 3


@pytest.mark.parametrize(
    ("rows", "size"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (10**9 - 1, "100M<n<1B"), (10**9, "n>1B")],
)
def test_the_size_is_that_of_all_rows(rows: int, size: str) -> None:
    head, _ = head_and_body(card_of(rows={"train": rows, "heldout": 0}, statistics={}))
    assert head["size_categories"] == [size]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_change_no_structure(text: str) -> None:
    names = ("title", "license", "sources", "description")
    plain = card_of(CardInfo(**dict.fromkeys(names, "a")))
    hostile = card_of(CardInfo(**dict.fromkeys(names, text)))
    kinds = [[token.type for token in parsed(head_and_body(one)[1])] for one in (plain, hostile)]
    assert kinds[0] == kinds[1]


def test_counts_laws_versions_and_sources_are_in_the_card() -> None:
    card = card_of(CardInfo(sources="Books", description="Old books."))
    for shown in (
        "# the name\n",
        "Old books.\n",
        "Sources: Books\n",
        "2 inputs of 1,905,699 bytes together, as stored; 2 passes over them:",
        "- `a b/c.jsonl`\n- ``d`e|f.txt``\n",
        "| train | 2,400 | 5,731 | 400 | 597,942 | 95.4 % |",
        "| input, in quarantine: not utf8 | 3 |",
        "| train | `blank` | 70.0 % | 70.1 % | 16.0 % | 3.17 | places: as declared (p 1); ",
        "| train | `chat` | - | 10.1 % | 16.0 % | 3.17 | rule kept in every window |",
        "| train | `own` | 20.0 % | 20.1 % | 16.0 % | 3.17 | none declared |",
        f"| digest of the rows | `{DIGEST}` |",
        "| tokenizer | `sentencepiece, 2,000 tokens, layout own` |",
        f"| sentence splitter, SHA-256 | `{'56' * 32}` |",
        "| libraries that decide bytes | `pyarrow 26.0, sentencepiece 0.2` |",
        "blankstream build --preset DATASET/config.toml --input INPUT... --output NEW",
    ):
        assert shown in card, shown


def test_the_recipe_is_toml_that_can_be_read_again() -> None:
    fences = [token for token in parsed(head_and_body(card_of())[1]) if token.type == "fence"]
    (recipe,) = (token.content for token in fences if token.info == "toml")
    config = parse_config(BuildConfig, tomllib.loads(recipe)["build"], "card")
    assert config == BuildConfig(window_tokens=128)


@pytest.mark.parametrize(
    ("shard_format", "has_tar"), [("arrow", False), ("arrow-zstd", False), ("tar", True)]
)
def test_how_to_read_it_is_that_of_its_format(shard_format: str, has_tar: bool) -> None:
    card = card_of(shard_format=shard_format)
    assert "from pipeline.stream import RowStream" in card
    assert ("webdataset.WebDataset" in card) == has_tar
    assert ("pyarrow.ipc.open_file" in card) != has_tar
    fences = [token for token in parsed(head_and_body(card)[1]) if token.info == "python"]
    for token in fences:
        compile(token.content, "card", "exec")


def test_of_many_inputs_the_first_are_named() -> None:
    names = [f"in/{number:05}.jsonl" for number in range(SHOWN_INPUTS + 5)]
    sources = Sources(names, 1000, 10, 1, RECIPE)
    card = render_card("name", manifest_of(), sources, CardInfo())
    assert card.count("- `in/") == SHOWN_INPUTS
    assert f"- and {1000 - SHOWN_INPUTS} more\n" in card


def test_equal_data_sets_have_equal_cards_whether_just_made_or_read() -> None:
    manifest = manifest_of()
    read = Manifest.from_json(manifest.to_json(), "here")
    shuffled = json.loads(json.dumps(RECIPE, sort_keys=True))
    again = Sources(SOURCES.names, 2, SOURCES.bytes, 2, shuffled)
    info = CardInfo(title="T")
    assert render_card("x", read, again, info) == render_card("x", manifest, SOURCES, info)


def test_a_data_set_without_statistics_has_a_card_too() -> None:
    card = card_of(statistics={}, counts={}, tokenizer={})
    assert "No statistics were kept." in card
    assert "Nothing was left out." in card
