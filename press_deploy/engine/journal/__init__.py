"""A run on disk: its journal, what that adds up to, who owns the bench, what people ask of it."""
