"""What to deploy where: the plan spec and its parts, validated."""
