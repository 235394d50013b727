"""The Bitget classic v2 dialect (USDT futures, hedge and one-way mode) of the local venue."""

from hfengine.localvenue.bitget.dialect import BitgetDialect

__all__ = ["BitgetDialect"]
