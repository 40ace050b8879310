"""Windows and spans -> how many mask tokens their samples have, for each form.

A column of the table of forms in `objectives.py`, and read by `statistics.py`.
"""

from pipeline.array_draws import bits32_at, states_of
from pipeline.assemble import Rules
from pipeline.laws.drawn import Drawn
from pipeline.randomness import Stream, threshold


def no_masks(drawn: Drawn, rules: Rules) -> int:
    """None."""
    return 0


def one_mask_a_span(drawn: Drawn, rules: Rules) -> int:
    """One in part A for each span."""
    return len(drawn.starts)


def two_masks_a_span(drawn: Drawn, rules: Rules) -> int:
    """One in part A and one in part B for each span."""
    return 2 * len(drawn.starts)


def masked_in_place(drawn: Drawn, rules: Rules) -> int:
    """The tokens of the spans that became masks: the draws of `assemble_in_place` once more."""
    states = states_of(drawn.windows, Stream.REPLACE)[drawn.owners]
    is_masked = bits32_at(states, drawn.numbers) < threshold(rules.objective.replace_ratio)
    return int(drawn.lengths[is_masked].sum())
