"""impasto: neural style transfer and its family."""

__version__ = "0.1.0"
