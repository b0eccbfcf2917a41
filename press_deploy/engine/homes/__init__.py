"""Homes: frozen copies of this engine and of what it imports, from which runs are executed.

A release changes the environment that this app is installed in, and this app is deployed like any other. A run is
therefore begun, resumed, rolled back and reported from a copy that no release touches: `<bench>/deployments/homes/
<version>-<hash>/`, with what it needs beside it, below the base interpreter of the bench's environment.
"""
