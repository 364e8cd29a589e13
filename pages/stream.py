"""The stream page: how the engine does, and the record of the last drill."""

from attribution.workbench import stream
from attribution.workbench.shell import page

page("Stream")
stream.show()
