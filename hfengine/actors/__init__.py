"""The actors: one file each, thin; kernels compute, venues talk."""
