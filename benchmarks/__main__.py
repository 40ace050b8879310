"""`make bench`: every benchmark, one after another."""

from benchmarks import (
    build,
    formats,
    layouts,
    memory,
    object_requests,
    packing,
    samples,
    scale,
    sentences,
    steady_state,
    stream,
)

for benchmark in (
    layouts,
    stream,
    sentences,
    samples,
    build,
    packing,
    memory,
    formats,
    object_requests,
):
    benchmark.main()
for measured in (scale, steady_state):
    measured.main([])
