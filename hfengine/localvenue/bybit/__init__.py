"""The Bybit V5 dialect (USDT linear, unified account) of the local venue."""

from hfengine.localvenue.bybit.dialect import BybitDialect

__all__ = ["BybitDialect"]
