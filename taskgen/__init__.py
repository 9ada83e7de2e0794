"""Taskgen: run real-time task-sets on a fleet of QEMU machines and tell precisely what happened."""

__version__ = "0.1.0"
