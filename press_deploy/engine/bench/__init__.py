"""The bench and its programs: directories, services, git, site processes, web server, preview instance."""
