"""The airings page: all of them side by side."""

from attribution.workbench import airings
from attribution.workbench.shell import page

page("Airings")
airings.show()
