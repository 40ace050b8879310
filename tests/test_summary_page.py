"""The page of a data set: complete, of one file, readable without its pictures."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.pages.manifest_facts import probability, verdict
from jobs.pages.page_assets import PAGE_OPENING
from jobs.pages.share_charts import ShareBar, share_bars, stacked_bar
from jobs.pages.statistics_charts import Axis, Bin, even_ticks, histogram
from jobs.pages.summary_page import render_summary
from jobs.pages.svg_parts import WIDTH, Caption
from schemas.manifest import Manifest
from tests.manifests import DIGEST, SPAN_LENGTHS, manifest_of, objective, objectives

CAPTION = Caption("n", "Title <b>", "About & so on")
SVG = re.compile(r"<svg.*?</svg>", re.DOTALL)


class Page(HTMLParser):
    """Checks that elements nest; collects ids, names, texts, links and the tables' lines."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.labelled: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.lines: list[list[str]] = []
        self.feed(content)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.labelled += [value or "" for name, value in attrs if name == "aria-labelledby"]
        if tag != "meta":
            self.open.append(tag)
        if tag == "tr":
            self.lines.append([])
        if tag in ("td", "th"):
            self.lines[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.lines[-1][-1] += data


def test_a_page_needs_nothing_but_itself_and_no_script() -> None:
    content = render_summary("data", manifest_of())
    page = Page(content)
    assert content.startswith(PAGE_OPENING)
    assert len(set(page.ids)) == len(page.ids)
    assert page.names.isdisjoint({"script", "link", "img", "iframe", "object"})
    assert page.attributes.isdisjoint({"style", "src", "href", "onclick"})
    assert not re.search(r"url\(|@import|https?://", content)
    (style,) = page.texts["style"]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'\"" in content


def test_every_picture_has_a_title_a_description_and_its_numbers() -> None:
    content = render_summary("data", manifest_of())
    page, pictures = Page(content), SVG.findall(content)
    assert len(pictures) == len(page.labelled) == 2 * (2 + 5 + 3 + 3)
    assert {name for names in page.labelled for name in names.split()} <= set(page.ids)
    for picture in pictures:
        tree = ElementTree.fromstring(picture)
        assert [child.tag for child in tree[:2]] == ["title", "desc"]
        assert all(child.text for child in tree[:2])
    figures = re.findall(r"<figure.*?</figure>", content, re.DOTALL)
    assert len(figures) == len(pictures)
    assert all("<details><summary>numbers</summary>" in figure for figure in figures)


def test_counts_shares_and_laws_stand_in_tables() -> None:
    lines = Page(render_summary("data", manifest_of())).lines
    for line in (
        ["train", "2,400", "5,731", "400", "597,942", "95.4 %"],
        ["read", "406"],
        ["identical", "4"],
        ["input, in quarantine: not utf8", "3"],
        ["documents: empty text", "2"],
        ["train, windows: too short", "12"],
        ["blank", "70.00 %", "70.10 %", "70.10 %", "70.20 %"],
        ["chat", "-", "10.10 %", "10.10 %", "10.20 %"],
        ["padding", "63,486", "5.90 %"],
        ["3", "3,675", "23.75 %", "23.58 %"],
        ["15 % to 20 %", "1,992", "70.07 %"],
        ["4", "523", "67.48 %"],
        ["one span", "142", "4.99 %", "5.28 %"],
        ["part 16 of 16", "965", "6.30 %", "6.25 %"],
    ):
        assert line in lines, line
    places = next(line for line in lines if line[0] == "places")
    assert places[1:6] == ["2,843", "24", "15,320", "0.4", "15"]
    assert places[-1] == "as declared"


def test_identity_and_tokenizer_are_named() -> None:
    texts = Page(render_summary("data", manifest_of())).texts["dd"]
    assert DIGEST in texts
    assert "sentencepiece, 2,000 tokens, layout own" in texts
    assert any("mask 3" in text and "gmask 4" in text for text in texts)


def test_what_has_no_law_is_said_plainly() -> None:
    text = " ".join(Page(render_summary("data", manifest_of())).texts["p"])
    assert "No law is declared for it" in text
    assert "Its rule was kept in every window" in text


def test_equal_manifests_give_equal_pages_whether_just_made_or_read() -> None:
    manifest = manifest_of()
    read = Manifest.from_json(manifest.to_json(), "here")
    assert list(read.statistics) != list(manifest.statistics)
    assert render_summary("data", read) == render_summary("data", manifest)


def test_names_cannot_act_on_the_page() -> None:
    content = render_summary("<script>alert(1)</script>\x1b\u202e", manifest_of())
    page = Page(content)
    assert "script" not in page.names
    assert "<script>alert(1)</script><U+001B><U+202E>" in page.texts["h1"][0]


def test_a_data_set_without_statistics_or_with_one_split_has_a_page_too() -> None:
    empty = Page(render_summary("data", manifest_of(statistics={}, counts={}, tokenizer={})))
    assert "Nothing was left out." in empty.texts["p"]
    one = manifest_of(rows={"train": 5, "heldout": 0}, statistics={}, counts={})
    assert [line[0] for line in Page(render_summary("data", one)).lines][1:2] == ["train"]
    bare = replace(manifest_of(), statistics=_without_bins())
    assert "as declared" in render_summary("data", bare)


def _without_bins() -> dict[str, object]:
    """Statistics whose laws do not say what was observed: no line is drawn."""
    laws = objectives()["blank"]["laws"]
    plain = {
        name: {key: value for key, value in law.items() if key not in ("observed", "expected")}
        for name, law in laws.items()
    }
    one = {"samples": 1, "fill": 0.5, "mix_by": "tokens"}
    return {"train": {**one, "objectives": {"blank": objective("blank", 1.0, plain)}}}


@pytest.mark.parametrize(
    ("law", "expected"),
    [
        ((0, 0, 0.0, 0.0), "too few windows to tell"),
        ((9, 0, 0.0, 0.0), "too few windows to tell"),
        ((9, 3, -8.9, 0.5), "as declared"),
        ((9, 3, -9.1, 0.009), "as declared, but for a trifle"),
        ((9, 3, -9.1, 0.02), "not as declared"),
    ],
)
def test_the_verdict_is_that_of_the_gate(law: tuple[int, int, float, float], expected: str) -> None:
    names = ("windows", "degrees_of_freedom", "log10_p", "total_variation")
    assert verdict(dict(zip(names, law, strict=True))) == expected


def test_probabilities_are_told_however_small() -> None:
    assert [probability(value) for value in (0.0, -0.222, -12.5, -400.0)] == [
        "1",
        "0.6",
        "3.2e-13",
        "1e-400",
    ]


@given(
    st.lists(st.tuples(st.integers(1, 50), st.floats(0, 1), st.floats(0, 1)), min_size=1),
    st.booleans(),
)
def test_bars_have_the_area_of_their_share_and_stay_in_the_picture(
    columns: list[tuple[int, float, float]], has_law: bool
) -> None:
    bins, start = [], 0.5
    for width, share, law in columns:
        bins.append(Bin(start, start + width, 1, share, "x", law if has_law else None))
        start += width
    content = histogram(CAPTION, bins, Axis("tokens", even_ticks(1, start)))
    rects = re.findall(r'<rect[^>]* y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', content)
    assert len(rects) == sum(bool(one.height) for one in bins)
    for y, width, height in rects:
        assert float(y) >= 9.9
        assert float(y) + float(height) <= 154.1
        assert float(width) <= WIDTH
    ElementTree.fromstring(content)
    assert ('class="law"' in content) == has_law


def test_the_highest_bar_is_the_densest() -> None:
    bins = [Bin(0.5, 1.5, 10, 0.4, "1"), Bin(1.5, 4.5, 15, 0.6, "2 to 4")]
    content = histogram(CAPTION, bins, Axis("tokens", ()))
    heights = [float(one) for one in re.findall(r'<rect[^>]* height="([\d.]+)"', content)]
    assert heights[0] == pytest.approx(2 * heights[1])


@given(st.floats(0, 1000), st.floats(1, 1e6))
def test_ticks_are_few_and_round(first: float, span: float) -> None:
    ticks = even_ticks(first, first + span)
    assert len(ticks) <= 6
    assert all(first <= value <= first + span and value == round(value) for value, _ in ticks)
    assert span < 3 or ticks


def test_shares_are_drawn_to_scale() -> None:
    content = share_bars(CAPTION, [ShareBar("a<", 0.5, 0.25), ShareBar("b", 1.0)])
    assert re.findall(r'class="found" x="8" width="([\d.]+)"', content) == ["172", "344"]
    assert 'd="M94 ' in content
    assert "a&lt; 50.0 % (asked 25.0 %)" in content
    stacked = stacked_bar(CAPTION, [("part A", 0.75), ("padding", 0.25)])
    assert re.findall(r'class="part\d" x="([\d.]+)" y="8"', stacked) == ["8", "266"]
    assert "Title &lt;b&gt;" in stacked
    assert sum(SPAN_LENGTHS) == 15_471
