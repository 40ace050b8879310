"""Which row comes next: pure functions of a stream's history and an index, without files."""
