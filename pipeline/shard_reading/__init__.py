"""From row numbers to rows: shards opened, mapped or decoded, verified, and copied from once."""
