"""What Frappe writes into a site's Error Log by itself."""

# The title of the row for each request that maintenance turned away.
OWN_ERROR_LOG_TITLE = "Session Stopped"
