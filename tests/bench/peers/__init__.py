"""Ours beside the others, on the same simulated events; `make bench-peers` runs it.

``arena`` makes the worlds, ``samples`` is what a method sees of one, ``rivals`` are ours and simple methods of our
own, ``guests`` other people's packages, each in an environment that ``rooms`` makes; ``runner`` is the child process in
which a method answers, ``score`` what is said of it, ``__main__`` the run.
"""
