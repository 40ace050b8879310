"""Which row comes next: pure functions of a stream's history and an index.

Files are read in one place alone: `WindowOrder` asks `TableRows` for blocks of the shard table.
"""
