"""The passwords that a site stores in its database, encrypted with its key: some of them show which key it is.

Invariant: they are read, never written down.
"""

from __future__ import annotations

# A site that once changed its key has rows that nothing opens any more; one that opens shows the key.
TRIED_ROWS = 50
# Frappe stores them with Fernet in `__Auth`.
QUERY = f"SELECT password FROM __Auth WHERE encrypted = 1 LIMIT {TRIED_ROWS}"
DOING = "Reading stored passwords of"

# None where there is no table for them: it is not Frappe's.
Stored = list[str | bytes | None] | None
