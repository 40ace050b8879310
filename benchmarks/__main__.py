"""`make bench`: every benchmark, one after another."""

from benchmarks import build, layouts, memory, packing, samples, sentences, stream

for benchmark in (layouts, stream, sentences, samples, build, packing, memory):
    benchmark.main()
