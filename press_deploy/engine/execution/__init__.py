"""Who executes a run: from the list of steps to its end, through kills, requests and retention."""
