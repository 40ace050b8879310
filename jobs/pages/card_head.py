"""The YAML head of the card, in the keys that hubs of data sets read."""

from jobs.pages.markdown_text import yaml_text
from schemas.card_config import CardInfo
from schemas.manifest import Manifest

_LICENSES = """
afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd bsd-2-clause bsd-3-clause bsl-1.0 cc cc0-1.0 cc-by-2.0
cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0
cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0
cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 ecl-2.0 epl-1.0 epl-2.0 eupl-1.1 eupl-1.2
gfdl gpl gpl-2.0 gpl-3.0 isc lgpl lgpl-2.1 lgpl-3.0 mit mpl-2.0 ms-pl ncsa odbl odc-by pddl
unlicense wtfpl zlib
"""
"""Identifiers that hubs know; any other licence goes under its own name."""

_SIZES = {
    10**3: "n<1K",
    10**4: "1K<n<10K",
    10**5: "10K<n<100K",
    10**6: "100K<n<1M",
    10**7: "1M<n<10M",
    10**8: "10M<n<100M",
    10**9: "100M<n<1B",
}


def head(name: str, manifest: Manifest, info: CardInfo) -> str:
    """The head between its lines of dashes; texts are in quotes."""
    rows = sum(manifest.rows.values())
    size = next((size for limit, size in _SIZES.items() if rows < limit), "n>1B")
    lines = [
        "---",
        f"pretty_name: {yaml_text(name)}",
        *_license(" ".join(info.license.split())),
        f"size_categories:\n- {yaml_text(size)}",
        "tags:\n- blankstream\n- glm\n- pretraining\n- span-corruption",
        "viewer: false",
        "---",
    ]
    return "\n".join(lines)


def _license(given: str) -> list[str]:
    if not given:
        return ["license: unknown"]
    if given.lower() in _LICENSES.split():
        return [f"license: {given.lower()}"]
    return ["license: other", f"license_name: {yaml_text(given)}"]
