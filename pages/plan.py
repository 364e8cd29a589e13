"""The plan page: what one spot could show; then the lock."""

from attribution.workbench import plan
from attribution.workbench.shell import page

page("Plan")
plan.show()
