"""Names of what can go wrong with a live feed before a frame is decoded (`FeedFault.fault`)."""

from typing import Final

DISCONNECTED: Final = "disconnected"
"""The connection ended: every book it fed is unknown until it is read again."""

SILENT: Final = "silent"
"""Nothing was heard of a symbol for too long although its connection lives."""

REFUSED_TOPIC: Final = "refused_topic"
"""The venue does not serve this topic; the detail holds its own words."""

UNROUTABLE: Final = "unroutable"
"""A message that is neither of a subscribed symbol nor an answer to a request."""

GAP: Final = "gap"
"""An update was lost."""
