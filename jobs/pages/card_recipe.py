"""The part of the card that says what the rows were made with."""

import json
from typing import Any

from jobs.pages import markdown_text as markdown
from jobs.pages.manifest_facts import special_tokens, tokenizer_name
from schemas.config import to_toml
from schemas.manifest import Manifest


def recipe(manifest: Manifest, content: dict[str, Any]) -> str:
    """What decides the bytes, by digest and version, and the build section of the recipe."""
    content = json.loads(json.dumps(content, sort_keys=True))
    libraries = content.get("libraries", {})
    versions = ", ".join(f"{name} {version}" for name, version in libraries.items())
    facts = (
        ("digest of the rows", manifest.content_digest),
        ("recipe", manifest.recipe_digest),
        ("plan", manifest.plan_digest),
        ("version of the data set", str(manifest.version)),
        ("tokenizer", tokenizer_name(manifest.tokenizer)),
        ("its model, SHA-256", str(manifest.tokenizer.get("model_sha256", "-"))),
        ("its special tokens", special_tokens(manifest.tokenizer)),
        ("sentence splitter, SHA-256", str(content.get("splitter_sha256", "-"))),
        ("libraries that decide bytes", versions or "-"),
        ("Unicode tables", str(content.get("unicode", "-"))),
        ("schema version", str(content.get("schema_version", "-"))),
        ("shards", manifest.shard_format),
    )
    lines = markdown.table(
        ("what", "value"), [(name, markdown.cell(value)) for name, value in facts]
    )
    build = to_toml({"build": content.get("build", {})})
    return f"{lines}\n\n{markdown.block(build, 'toml')}"
