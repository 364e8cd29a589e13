"""The data page: from a file to a verdict."""

from attribution.workbench import data
from attribution.workbench.shell import page

page("Data")
data.show()
