"""What a database rollback would lose: counted and named from the rows themselves, and exported afterwards.

Invariant: a difference between the two databases is listed, unless a table of this package names the
reason why nobody would enter it again.
"""
