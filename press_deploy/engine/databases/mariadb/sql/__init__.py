"""The SQL of a dump, read statement by statement: what each may do, and what it holds."""
