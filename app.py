"""The live command view."""

from attribution.workbench import live
from attribution.workbench.shell import page

page("Live")
live.show()
