"""`python -m press_deploy.cli`, as the helper starts the runner."""

from press_deploy.cli.main import main

main()
