"""Compiled kernels: pure computation; they import nothing of hfengine."""
