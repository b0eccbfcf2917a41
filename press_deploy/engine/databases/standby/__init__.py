"""The standby database: the backup, loaded and proven beside the live database, ready to be swapped in."""
