"""What a data set says of itself: its configuration, its card and a page of pictures.

Written by the driver before the manifest, from the plan and the manifest alone.
"""

from pipeline.plan_tables import PlanReader
from pipeline.stores.store import Store
from pipeline.survey import Survey
from pipeline.tar_index import dataset_json
from schemas.build_config import BuildConfig
from schemas.card_config import CardInfo
from schemas.config import to_mapping, to_toml
from schemas.manifest import Manifest
from schemas.names import CONFIG_NAME, TAR_INDEX_NAME


def write_pages(
    store: Store,
    reader: PlanReader,
    survey: Survey,
    manifest: Manifest,
    request: tuple[BuildConfig, CardInfo],
) -> None:
    """Write them; the same data set gives the same bytes."""
    config, card = request
    store.replace(CONFIG_NAME, to_toml({"build": to_mapping(config)}).encode())
    if manifest.shard_format == "tar":
        index = dataset_json(manifest.row_format, manifest.tokenizer, survey.entries())
        store.replace(TAR_INDEX_NAME, index.encode())
