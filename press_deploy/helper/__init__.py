"""The helper: the small privileged daemon that holds maintenance mode and services, nothing else.

It runs as root under `/usr/bin/python3 -I` with the standard library alone, from a root-owned copy.
Invariant: nothing in this package imports anything but the standard library and this package.
Start reading at `policy.py`: one table says who may do what.
"""
