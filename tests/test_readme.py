"""The README's figures are those of the kept calibration: no number is typed."""

from calibrate import readme


def test_the_readme_shows_the_kept_calibration():
    assert readme.block(readme.kept()) in (readme.ROOT / "README.md").read_text(encoding="utf-8")
