"""The rule for Chinese and Japanese: marks end a sentence, and what closes stays with it."""
# ruff: noqa: RUF001 (full-width marks are what is tested)

import gzip
import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.splitters.cjk import cjk_spans
from pipeline.splitters.scripts import is_cjk, is_cjk_language

EXAMPLES = [
    # plain marks, runs of them, several on a line
    "今天天气很好。|我们去公园吧！|你去吗？",
    "真的吗？！|太好了！！！|嗯。。。|好吧。",
    "什么!?|你说什么？?|我不信!!!",
    "他走了。 |她也走了。　|没有人留下。",
    # quotations
    "他说：“我明天来。”|说完就走了。",
    "“你好！”|他说。|“再见。”",
    "「好。」|「走吧！」|他站了起來。",
    "他問：「你讀過『論語』嗎？」|我說：「讀過。」",
    "老師說：「孔子曰：『學而時習之，不亦說乎？』」|學生點頭。",
    "“他告诉我‘不要来。’”|她说。",
    "“去不去？”，他问道。|“不去！”，她答。",
    "“好。”。|“行。”！|走。",
    '他说:"你好。|我走了。"|然后就走了。|"再见!"|她说。',
    "«Да»也可以引用。|（他没来。）|会议照开。",
    "【通知！】|明天放假。|｛完。｝|［终。］|结束。",
    # titles and marks in brackets are inside of their sentence
    "《怎么办？》是一本书。|《变变变！》也是。",
    "我看过《谁来？》第二集。|很好看。",
    "据说（？）他来过。|他(!)不承认。",
    # ellipses and dashes
    "我……|我不知道。|让我想想……",
    "“……好吧。”|他说。",
    "“……”他没有说话。|走了。",
    "网络，账户，打印……，都好了。|等等……。|完。",
    "你去——？|我不去——！|他说——算了。",
    "内心深处的童年梦.......|妖怪，还我爷爷!|实际大小...），够了。",
    "版本V1...V5都可以。|完…|好⋯",
    # full stops
    "提出一种方法.|该方法直接利用尺度信息.|结果较好.",
    "圆周率是3.14。|价格为1．50元．|共2.5倍.|很便宜。",
    "访问www.example.com或http://a.cn/?q=1&b=2。|谢谢。",
    "用node.js和Vue.js写的。|版本2.0.1已发布。",
    "我们使用RAID.| 它很可靠。|J. R. Smith教授和Dr. 王来了。",
    "密钥长度为22-bit.|因此很安全。|参见Fig. 三和No. 五。",
    "1. 苹果|\n|2. 香蕉|\n|A. 选项",
    "1.苹果；2.香蕉；3.橘子。|就这些。",
    # ASCII marks inside of Latin words
    "Fe?N共价键和kern.!err表示。|完!|Yes!|好。",
    # line ends
    "第一行|\n|第二行没有句号|\r\n|第三行。|\n\n|第四段",
    "静夜思|\n|李白|\n\n|床前明月光，疑是地上霜。|\n|举头望明月，低头思故乡。",
    "好。|\n|？？？|\n|坏。",
    "一。|\u2028|二",
    # semicolons and colons do not end a sentence
    "他来了；她走了：就这样，完了。",
    # Japanese
    "今日はいい天気ですね。|散歩に行きましょう！|行きますか？",
    "「行くの？」と聞いた。|「うん。」|彼は答えた。",
    "『吾輩は猫である。|名前はまだ無い。』と書いてある。",
    "「すごい！」って言った。|ｶﾀｶﾅ｡|終わり｡",
    "彼は「はい。」とだけ言い、見た。",
    "えっと……|その、3.5キロです。",
    # limits: a name with a mark in it
    "Yahoo!|ニュースを見た。|モーニング娘。|は歌手だ。|看了《天才！|天才？》第二集。",
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_sentences_end_where_the_bars_stand(example: str) -> None:
    expected = [part.strip() for part in example.split("|") if part.strip()]
    text = example.replace("|", "")
    assert [text[start:stop] for start, stop in cjk_spans(text)] == expected


ALPHABET = "。！？!?….．⋯”’」』）)》\"'“「（《，：、 \n\r\u3000\u2028\xa0中文かナaB1é\x1c\ud800-—"


@given(st.text(alphabet=ALPHABET, max_size=60) | st.text(max_size=40))
def test_only_white_space_lies_between_sentences(text: str) -> None:
    place = 0
    for start, stop in cjk_spans(text):
        assert place <= start < stop
        assert not text[place:start].strip()
        assert text[start:stop] == text[start:stop].strip()
        place = stop
    assert not text[place:].strip()


@given(st.text(alphabet=ALPHABET, max_size=60))
def test_no_sentence_goes_on_behind_a_line_end(text: str) -> None:
    for start, stop in cjk_spans(text):
        assert len(text[start:stop].splitlines()) == 1 or "\x1c" in text[start:stop]


def test_ninety_eight_percent_of_the_marks_of_real_prose_end_a_sentence(shared_data: Path) -> None:
    found = marks = 0
    with gzip.open(shared_data / "corpus" / "chinese.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            text = json.loads(line)["text"]
            stops = {stop for _, stop in cjk_spans(text)}
            expected = [match.end() for match in re.finditer("[。！？]+[”’」』]*", text)]
            marks += len(expected)
            found += sum(stop in stops for stop in expected)
    assert marks > 35_000
    assert found / marks >= 0.98


@pytest.mark.parametrize(
    "piece",
    ["。", "。”", "“", '"。', "……", ".", ". ", "！》", "？，", " ", "\n", "中", "a.", "（！"],
)
def test_time_grows_with_the_text_whatever_its_shape(piece: str) -> None:
    text = "中" + piece * (200_000 // len(piece)) + "文。"
    start = time.process_time()
    cjk_spans(text)
    assert time.process_time() - start < 3, "a quadratic rule would take minutes"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("这是中文 with English", False),
        ("这是一段中文文本，包含 RAID 和 LVM。", True),
        ("ひらがなとカタカナ ABC", True),
        ("한국어 문장입니다. 漢字.", False),
        ("Plain English, “quoted”, 中", False),
        ("ประโยคภาษาไทย", False),
        ("123 ... !", False),
        ("", False),
        ("𠀀𠀁 a", True),
        ("English preface. " * 10 + "中文正文。" * 4000, True),
        ("中文前言。" * 10 + "English body follows here. " * 4000, False),
    ],
)
def test_the_script_is_that_of_most_letters(text: str, expected: bool) -> None:
    assert is_cjk(text) is expected


@pytest.mark.parametrize("name", ["zh", "ZH-cn", "zh_TW", " Chinese ", "ja", "jp", "Japanese"])
def test_names_and_codes_of_chinese_and_japanese_are_known(name: str) -> None:
    assert is_cjk_language(name)


@pytest.mark.parametrize("name", ["en", "english", "ko", "zhuang", "", "java", "de-CH"])
def test_other_names_and_codes_are_not_chinese(name: str) -> None:
    assert not is_cjk_language(name)
