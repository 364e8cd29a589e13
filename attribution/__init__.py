"""Did this TV ad actually cause these conversions?"""

__version__ = "0.1.0"
