"""hfengine: leveraged perpetual futures with a native hot path; safety, truth and speed."""

__version__ = "0.1.0"
