"""The simulated exchange: pure, synchronous, on virtual time; no sockets, no randomness."""

from hfengine.exchange.core import Exchange
from hfengine.exchange.latency import FifoDelay, Latency
from hfengine.exchange.ledger import Ledger, LedgerEntry
from hfengine.exchange.market import MarketView, OutsideBook
from hfengine.exchange.reports import FillReport, OrderReport, PositionReport

__all__ = [
    "Exchange",
    "FifoDelay",
    "FillReport",
    "Latency",
    "Ledger",
    "LedgerEntry",
    "MarketView",
    "OrderReport",
    "OutsideBook",
    "PositionReport",
]
