"""Where code for 1.0.0 finds the version."""

from . import __version__ as __version__
