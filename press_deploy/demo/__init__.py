"""A practice bench: real git, real supervisor, real web server, SQLite. For demonstrations and tests.

Invariant: everything of it is inside one directory (sockets aside, whose paths must be short), and it
imports no Frappe.
"""
