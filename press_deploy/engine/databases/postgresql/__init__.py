"""PostgreSQL: its dumps can be read to their end. It is in no table of engines yet, so its sites are refused."""
