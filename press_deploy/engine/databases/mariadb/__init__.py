"""MariaDB, asked directly and without Frappe: dumps, standby databases, and the swap."""
