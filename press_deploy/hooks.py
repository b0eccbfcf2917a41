"""Wiring only: what of this app Frappe calls, and when."""

app_name = "press_deploy"
app_title = "Press Deploy"
app_publisher = "press_deploy contributors"
app_description = "Production deployments of a Frappe bench"
app_email = "press-deploy@example.invalid"
app_license = "mit"
