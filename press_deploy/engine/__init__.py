"""What executes a deployment. Nothing in here imports `frappe`: the thing deployed can't be needed to roll it back."""
