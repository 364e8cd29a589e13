"""Drills: what a node has to survive, exactly."""
