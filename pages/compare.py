"""The compare page: others' rules and every other choice beside ours."""

from attribution.workbench import compare
from attribution.workbench.shell import page

page("Compare")
compare.show()
