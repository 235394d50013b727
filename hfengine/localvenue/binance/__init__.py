"""Binance USDⓈ-M futures over a local venue's world."""
