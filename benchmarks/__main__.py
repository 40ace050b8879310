"""`make bench`: every benchmark, one after another."""

from benchmarks import build, layouts, memory, samples, sentences, stream

for benchmark in (layouts, stream, sentences, samples, build, memory):
    benchmark.main()
