"""The simulated exchange: pure, synchronous, on virtual time; no sockets, no randomness."""

from hfengine.exchange.core import Exchange
from hfengine.exchange.latency import FifoDelay, Latency
from hfengine.exchange.ledger import Ledger, LedgerEntry
from hfengine.exchange.market import OutsideBook

__all__ = ["Exchange", "FifoDelay", "Latency", "Ledger", "LedgerEntry", "OutsideBook"]
