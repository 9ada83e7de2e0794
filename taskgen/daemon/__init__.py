"""The daemon: a service that lasts, with its API, its log, and its answers to signals."""
