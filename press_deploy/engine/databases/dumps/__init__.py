"""Dumps of databases: read to their end, whole, and by what is in them."""
