"""From a spoken word to a chip: keyword spotting for microcontrollers.

Importing this package loads nothing else; every stage is imported where it is used.
"""

__version__ = "0.1.0"
