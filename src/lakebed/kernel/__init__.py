"""Kernel: the room every other room stands on. It imports nothing of Lakebed and knows no AWS service.

Time, randomness, disk and child processes are reached only through here, so that a test can replace them.
"""
