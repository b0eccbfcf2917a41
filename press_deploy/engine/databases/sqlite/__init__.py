"""SQLite, asked directly and without Frappe: a site's file, its copies, and the exchange of the two."""
