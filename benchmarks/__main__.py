"""`make bench`: every benchmark, one after another."""

from benchmarks import build, layouts, stream

for benchmark in (layouts, stream, build):
    benchmark.main()
