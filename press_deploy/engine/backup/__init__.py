"""Backups, and what has been proven of each.

`making` makes one (rung 1), `verifying` sees that it is whole (rung 2), the safe places keep it (rung 3),
`restoring` and the standby database restore it (rung 4), `booting` starts a site on it (rung 5); `rungs` keeps
the ladder, `proving` climbs it with a single file, `catalogue` lists what there is.
"""
