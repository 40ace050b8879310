"""The page of a row: complete, of one file, and harmless whatever the text."""

import base64
import hashlib
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

from jobs.pages.inspect_page import render_page
from schemas.build_config import ObjectiveConfig
from schemas.objectives import IGNORE_INDEX
from tests.views import ACTING, HOSTILE, WORDS, Words, every_kind, printed, row_of, view_of


class Page(HTMLParser):
    """Checks that elements nest; collects ids, links, texts by element, and tables."""

    VOID = ("meta",)

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.names: set[str] = set()
        self.texts: dict[str, list[str]] = {}
        self.rows: dict[str, list[str]] = {}
        self.attributes: set[str] = set()
        self._row: list[str] = []
        self.feed(content)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self._row.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "tr":
            name, *cells = self._row
            self.rows.setdefault(name, []).extend(cells)
            self._row = []

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self._row[-1] += data


@every_kind
def test_a_page_shows_every_token_with_label_and_both_positions(objective: ObjectiveConfig) -> None:
    view = view_of(objective)
    page = Page(render_page(row_of(view)))
    sample = view.sample
    assert page.rows["index"] == [str(place) for place in range(view.length)]
    assert page.rows["token"] == [WORDS.piece(token) for token in sample.tokens.tolist()]
    assert page.rows["label"] == [
        "·" if label == IGNORE_INDEX else WORDS.piece(label) for label in sample.labels.tolist()
    ]
    assert page.rows["position"] == list(map(str, sample.positions.tolist()))
    assert page.rows["block position"] == list(map(str, sample.block_positions.tolist()))
    assert view.form.note in page.texts["p"]


@every_kind
def test_a_page_needs_nothing_but_itself(objective: ObjectiveConfig) -> None:
    content = render_page(row_of(view_of(objective), view_of(objective, 20)))
    page = Page(content)
    assert len(set(page.ids)) == len(page.ids)
    assert page.links
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert all(link.startswith("#") for link in page.links)
    assert "style" not in page.attributes
    assert not re.search(r"url\(|@import", content)
    for element in ("script", "style"):
        (text,) = page.texts[element]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in content


@every_kind
def test_text_of_a_data_set_cannot_act_on_the_page_or_the_terminal(
    objective: ObjectiveConfig,
) -> None:
    row = row_of(view_of(objective, tokenizer=Words(HOSTILE)))
    row = replace(row, dataset="<b>data", shard="<i>shard")
    content = render_page(row)
    page, plain = Page(content), Page(render_page(row_of(view_of(objective))))
    assert page.names == plain.names
    assert page.attributes <= plain.attributes | {"title"}
    assert content.count("<script") == 1
    everything = "".join(text for texts in page.texts.values() for text in texts)
    assert "<script>alert(1)</script>" in everything
    assert "doc<1>" in everything
    for shown in (unescape(content), printed(row, everything=True)):
        assert "<U+202E>" in shown
        assert not ACTING.search(shown)


def test_a_blank_and_its_span_lead_to_each_other() -> None:
    view = view_of(ObjectiveConfig(kind="blank", mask_ratio=0.4))
    content = render_page(row_of(view))
    assert len(view.spans) > 1
    for span in view.spans:
        assert f'id="s0-a{span.number}" href="#s0-b{span.number}"' in content
        assert f'id="s0-t{span.number}" href="#s0-b{span.number}"' in content
        assert f'id="s0-b{span.number}"' in content
        assert f'href="#s0-t{span.number}"' in content


def test_a_page_of_a_long_row_stays_below_a_megabyte() -> None:
    view = view_of(ObjectiveConfig(kind="blank"), 1900)
    assert view.length > 2048
    assert len(render_page(row_of(view)).encode()) < 1_000_000
