"""How often an answer is right: many worlds with a known truth, `make calibrate`."""
