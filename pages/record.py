"""The record page: how each method fared on events whose truth is known."""

from attribution.workbench import record
from attribution.workbench.shell import page

page("Record")
record.show()
