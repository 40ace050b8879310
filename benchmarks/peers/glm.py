"""The samples of the race: GLM's blank objective over windows of 422 tokens, one sample a row."""

import numpy as np

from benchmarks.peers.samples import MAX_SAMPLES, SEED, TOKENS, WIDTH, Values
from benchmarks.random_windows import random_windows
from pipeline.assemble import Rules
from pipeline.engines.choice import choose_engine
from pipeline.packing import empty_rows
from pipeline.window_batch import Placement, Rows
from schemas.build_config import ObjectiveConfig
from schemas.objectives import SpecialTokens
from schemas.samples import RowFormat

VOCAB_SIZE, TEXT_TOKENS = 30_000, 420
FORMAT = RowFormat.for_vocabulary(VOCAB_SIZE, TOKENS, MAX_SAMPLES, ("blank",))
SPECIAL = SpecialTokens(
    pad=0, cls=1, eos=2, mask=3, gmask=4, smask=5, start=6, end=7, noise=8,
    first_sentinel=VOCAB_SIZE - 200, num_sentinels=100,
)  # fmt: skip
RULES = Rules(ObjectiveConfig(kind="blank"), SPECIAL, VOCAB_SIZE, TEXT_TOKENS + 2)
_STEP = 1000


def glm_rows(count: int) -> Values:
    """`count` samples, all different, as (count, width); the same on every machine."""
    assert FORMAT.width == WIDTH
    values = empty_rows(count, FORMAT, SPECIAL.pad)
    engine = choose_engine("batched")
    for start in range(0, count, _STEP):
        part = values[start : start + _STEP]
        windows = random_windows(len(part), TEXT_TOKENS, VOCAB_SIZE - 200, [SEED, start])
        zeros = np.zeros(len(part), np.int64)
        placement = Placement(np.arange(len(part)), zeros, zeros)
        spans = engine.draw(windows, [RULES], True)
        engine.write(windows, spans, [RULES], placement, Rows(part, FORMAT))
    return values
