"""What a data set says of itself: its configuration, its card and a page of pictures.

Written by the driver before the manifest, from the plan and the manifest alone.
"""

from itertools import islice

from jobs.pages.card import SHOWN_INPUTS, Sources, render_card
from jobs.pages.summary_page import render_summary
from pipeline.plan_tables import PlanReader
from pipeline.shard_formats.tar_index import dataset_json
from pipeline.stores.store import Store
from pipeline.survey import Survey
from schemas.build_config import BuildConfig
from schemas.card_config import CardInfo
from schemas.config import to_mapping, to_toml
from schemas.manifest import Manifest
from schemas.names import CARD_NAME, CONFIG_NAME, SUMMARY_NAME, TAR_INDEX_NAME

_UNTITLED = "Pre-corrupted text"


def write_pages(
    store: Store,
    reader: PlanReader,
    survey: Survey,
    manifest: Manifest,
    said: tuple[BuildConfig, CardInfo],
) -> None:
    """Write them; the same data set, of which the same is said, gives the same bytes."""
    config, card = said
    title = card.title or _UNTITLED
    pages = {
        CONFIG_NAME: to_toml({"build": to_mapping(config), "card": to_mapping(card)}),
        CARD_NAME: render_card(title, manifest, _sources(reader), card),
        SUMMARY_NAME: render_summary(title, manifest),
    }
    if manifest.shard_format == "tar":
        shards = survey.entries()
        pages[TAR_INDEX_NAME] = dataset_json(manifest.row_format, manifest.tokenizer, shards)
    for name, content in pages.items():
        store.replace(name, content.encode())


def _sources(reader: PlanReader) -> Sources:
    """What the card says of the inputs."""
    count = size = 0
    for file in reader.inputs():
        count, size = count + 1, size + file.bytes
    names = tuple(file.path for file in islice(reader.inputs(), SHOWN_INPUTS))
    return Sources(names, count, size, reader.plan.passes, reader.plan.recipe)
