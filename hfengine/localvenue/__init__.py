"""A local venue: real exchanges' protocols over loopback sockets, around the simulated exchange."""
