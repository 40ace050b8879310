"""What a dry run tells a person."""

from dataclasses import replace

from jobs.estimate import Estimate, Forecast, Growth, render_estimate

FORECAST = Forecast(
    rows={"train": 123_456, "heldout": 1_234},
    tokens=55_555_555,
    disk_bytes=987_654_321,
    worker_seconds=7200.0,
    seconds=3600.0,
    sampled_items=3,
    sampled_bytes=12_000_000,
    sampled_documents=99,
    sampled_bad=0,
    is_exact=False,
)
ESTIMATE = Estimate(
    place="d",
    growth=Growth("new", 0, (0, 2), (0, 50)),
    inputs=1,
    items=100,
    source_bytes=2_000_000_000,
    pending_items=90,
    pending_bytes=1_800_000_000,
    forecast=FORECAST,
    executor="processes",
    workers=2,
    max_bad_ratio=0.01,
    planning_seconds=61.0,
    free_bytes=5_000_000_000,
)


def test_what_a_sample_stands_for_is_rounded_and_called_about() -> None:
    assert render_estimate(ESTIMATE).splitlines() == [
        "d: a new data set would be begun; nothing was written there",
        "  plan: 100 items, 2 passes over 1 input, 2.0 GB to read in all",
        "  built: 10 items have a record; to build: 90 items, 1.8 GB",
        "  rows: about 123,000 training, about 1,230 held-out; tokens of text: about 55,600,000",
        "  on disk: about 988.0 MB of shards, documents and records, 17.8 bytes a token; 5.0 GB "
        "are free there",
        "  time: about 1:00:00 with --executor processes and 2 workers, about 2:00:00 of one "
        "worker",
        "  per worker-hour: about 900.0 MB of input, 62,300 rows",
        "  not in the time: reading and hashing the inputs, splitter and tokenizer, which took "
        "0:01:01 here; starting workers; the manifest",
        "  sampled: 3 items, 12.0 MB, 0.67% of what is to be built; the rest is taken to be like "
        "them",
    ]


def test_exact_numbers_are_told_in_full() -> None:
    text = render_estimate(replace(ESTIMATE, forecast=replace(FORECAST, is_exact=True)))
    assert "rows: 123,456 training, 1,234 held-out; tokens of text: 55,555,555" in text
    assert "sampled: every item to build; rows and bytes are exact" in text


def test_a_growth_that_is_left_is_told() -> None:
    left = replace(ESTIMATE, growth=Growth("grown", 2, (1, 1), (4, 5), is_left=True))
    assert "would grow to version 2 (1 slice of new input)" in render_estimate(left)
    assert "left undone: the growth begun before" in render_estimate(left)


def test_a_disk_that_is_too_small_is_told() -> None:
    assert "too small" not in render_estimate(ESTIMATE)
    assert "the disk is too small" in render_estimate(replace(ESTIMATE, free_bytes=1000))
    assert "free there" not in render_estimate(replace(ESTIMATE, free_bytes=None))


def test_bad_input_is_told_and_its_end_where_it_is_over_the_limit() -> None:
    few = replace(ESTIMATE, max_bad_ratio=0.5, forecast=replace(FORECAST, sampled_bad=1))
    assert "bad input: 1 of 100 documents of the sample cannot be used" in render_estimate(few)
    assert "ends with an error" not in render_estimate(few)
    many = replace(few, max_bad_ratio=0.001)
    assert "build.max_bad_ratio is 0.10%; if all are so, the build ends" in render_estimate(many)


def test_without_a_sample_nothing_is_made_up() -> None:
    text = render_estimate(replace(ESTIMATE, forecast=None, notes=("not in the sample: x",)))
    assert "rows, bytes and time: not known" in text
    assert text.endswith("note: not in the sample: x")
