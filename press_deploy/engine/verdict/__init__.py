"""From what was seen to GO, NO-GO or INCONCLUSIVE."""
