"""The whole errand with this project: three files in, a verdict out."""

import sys
from pathlib import Path

import attribution as at

folder = Path(sys.argv[1])
files = at.read_files(
    folder / "conversions.csv", folder / "spots.csv", folder / "posts.csv", roles={"posts.csv": "social"}
)
result = at.analyze(files.counts, files.airings, at.Settings(window="60s"), **files.feeds)
print(result.verdict.word, *result.table[["incremental", "incremental_lower", "incremental_upper"]].iloc[0])
