"""The tune page: every choice under the finger, and what it does to the answer."""

from attribution.workbench import tune
from attribution.workbench.shell import page

page("Tune")
tune.show()
