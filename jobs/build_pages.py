"""What a data set says of itself: its configuration, its card and a page of pictures.

Written by the driver before the manifest, from the plan and the manifest alone.
"""

from pipeline.plan_tables import PlanReader
from pipeline.stores.store import Store
from schemas.build_config import BuildConfig
from schemas.card_config import CardInfo
from schemas.config import to_mapping, to_toml
from schemas.manifest import Manifest
from schemas.names import CONFIG_NAME


def write_pages(
    store: Store, reader: PlanReader, manifest: Manifest, config: BuildConfig, card: CardInfo
) -> None:
    """Write them; the same data set gives the same bytes."""
    store.replace(CONFIG_NAME, to_toml({"build": to_mapping(config)}).encode())
