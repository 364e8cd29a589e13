"""The evidence page: one airing's answer taken apart."""

from attribution.workbench import evidence
from attribution.workbench.shell import page

page("Evidence")
evidence.show()
