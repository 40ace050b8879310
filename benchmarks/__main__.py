"""`make bench`: every benchmark, one after another."""

from benchmarks import (
    build,
    formats,
    layouts,
    many_shards,
    memory,
    object_requests,
    packing,
    samples,
    scale,
    sentences,
    shuffle_quality,
    steady_state,
    stream,
    stream_scale,
)

for benchmark in (
    layouts,
    shuffle_quality,
    sentences,
    samples,
    build,
    packing,
    memory,
    formats,
    object_requests,
):
    benchmark.main()
for measured in (stream, stream_scale, many_shards, scale, steady_state):
    measured.main([])
