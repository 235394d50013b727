"""Measurements of the local venue: order round trips, and many symbols to several clients."""
