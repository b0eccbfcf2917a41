"""The sites' databases: figures, dumps, standby databases, what a rollback would lose."""
