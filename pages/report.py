"""The report page: choose the parts, look at them, save them in any form, open a saved one."""

from attribution.workbench import report
from attribution.workbench.shell import page

page("Report")
report.show()
