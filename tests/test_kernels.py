"""Lag distributions: laws of a distribution, bins that add up, delays against quadrature, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from attribution.kernels import PRESETS, Kernel, bank, bin_mass, delayed, exposure_mass
from attribution.lags import FAMILIES

DEFAULTS = [Kernel(family=family, mode=12.0, tail=tail) for family in FAMILIES for tail in (0.0, 0.2)]
UNEVEN = np.cumsum(np.r_[0.0, np.random.default_rng(4).uniform(0.3, 9.0, 80)])


def name(kernel):
    return f"{kernel.family}-tail{kernel.tail:g}"


@st.composite
def kernels(draw):
    family = draw(st.sampled_from(sorted(FAMILIES)))
    low, high = {"lognormal": (0.05, 1.2), "window": (1.0, 6.0)}.get(family, (1.05, 9.0))
    return Kernel(
        family=family,
        mode=draw(st.floats(0.5, 300)),
        shape=draw(st.floats(low, high)),
        tail=draw(st.sampled_from([0.0, 0.05, 0.4])),
        tail_scale=draw(st.floats(5, 300)),
    )


@given(kernels(), st.floats(0.001, 0.999))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_quantile_undoes_cdf(kernel, p):
    assert kernel.cdf(kernel.quantile(p)) == pytest.approx(p, abs=1e-10)


@given(kernels(), st.floats(-50, 400), st.one_of(st.floats(0, 1e-3), st.floats(1, 90)), st.floats(0, 1))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_bins_add_up_and_mass_is_one(kernel, onset, length, cut):
    end = onset + length + float(kernel.quantile(1 - 1e-13))
    middle = onset + cut * (end - onset)
    whole = bin_mass(kernel, np.array([onset - 5]), np.array([end - onset + 5]), onset, length)
    parts = bin_mass(kernel, np.array([onset - 5, middle]), np.array([middle - onset + 5, end - middle]), onset, length)
    # Masses are differences of an integral that has grown as large as the lag: exact to a few of its last digits.
    assert parts.sum() == pytest.approx(whole[0], abs=max(1e-12, 4 * np.spacing(end - onset)))
    assert whole[0] == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize("kernel", DEFAULTS, ids=name)
def test_cdf_and_mean_are_integrals_of_the_density(kernel):
    for t in (0.5, 3.0, 12.0, 20.0, 60.0):
        breaks = [b for b in (12.0, 18.0) if b < t]
        area = integrate.quad(lambda u: float(kernel.pdf(u)), 0, t, points=breaks, epsabs=1e-13)[0]
        assert kernel.cdf(t) == pytest.approx(area, abs=1e-11)
        area = integrate.quad(lambda u: float(kernel.cdf(u)), 0, t, points=breaks, epsabs=1e-13)[0]
        assert kernel.cdf_integral(t) == pytest.approx(area, abs=1e-10)
    mean = integrate.quad(lambda u: 1 - float(kernel.cdf(u)), 0, 4000, points=[12.0, 18.0, 100.0], limit=500)[0]
    assert kernel.mean == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize("kernel", DEFAULTS, ids=name)
def test_mode_is_the_highest_point(kernel):
    lags = np.linspace(0.001, 60, 600_001)
    assert kernel.mode_s == pytest.approx(lags[np.argmax(kernel.pdf(lags))], abs=2e-3)


@pytest.mark.parametrize(
    ("kernel", "reference"),
    [
        (Kernel(family="gamma", mode=10.0, shape=3.0), stats.gamma(3, scale=5)),
        (Kernel(family="gamma", mode=10.0, shape=2.6), stats.gamma(2.6, scale=10 / 1.6)),
        (Kernel(family="lognormal", mode=10.0, shape=0.5), stats.lognorm(0.5, scale=10 * np.exp(0.25))),
        (Kernel(family="weibull", mode=10.0, shape=2.0), stats.weibull_min(2, scale=10 * np.sqrt(2))),
        (Kernel(family="window", mode=10.0, shape=1.5), stats.triang(10 / 15, scale=15)),
    ],
    ids=lambda value: value.family if isinstance(value, Kernel) else "",
)
def test_families_match_scipy(kernel, reference):
    lags = np.array([0.0, 0.2, 4.0, 9.0, 14.0, 50.0])
    np.testing.assert_allclose(kernel.cdf(lags), reference.cdf(lags), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(kernel.pdf(lags), reference.pdf(lags), rtol=1e-9, atol=1e-14)
    assert kernel.mean == pytest.approx(reference.mean())
    np.testing.assert_allclose(kernel.quantile([0.0, 0.1, 0.9]), reference.ppf([0.0, 0.1, 0.9]), rtol=1e-11)


def test_biexponential_is_the_sum_of_two_exponentials():
    kernel = Kernel(family="biexponential", mode=10.0, shape=4.0)
    rise = 10.0 * 3 / (4 * np.log(4))
    rng = np.random.default_rng(8)
    lags = rng.exponential(rise, 200_000) + rng.exponential(4 * rise, 200_000)
    assert stats.kstest(lags, kernel.cdf).pvalue > 0.001
    assert kernel.mean == pytest.approx(5 * rise)


def test_presets_are_what_they_say():
    assert PRESETS["brief"].quantile(1.0) == 15.0
    assert PRESETS["brief"].mode_s == 10.0
    assert PRESETS["published"].mode_s == 45.0
    assert PRESETS["published"].quantile(0.9) == pytest.approx(210.0)


@pytest.mark.parametrize("kernel", DEFAULTS[::2], ids=name)
def test_an_exposure_that_lasts_is_many_short_ones(kernel):
    start, width = UNEVEN[:-1], np.diff(UNEVEN)
    moments = 20.0 + (np.arange(3000) + 0.5) * 30 / 3000
    short = np.mean([bin_mass(kernel, start, width, at) for at in moments], axis=0)
    np.testing.assert_allclose(bin_mass(kernel, start, width, 20.0, 30.0), short, atol=1e-7)


def test_bins_may_come_in_any_order_and_leave_gaps():
    kernel = Kernel(mode=10.0)
    start, width = UNEVEN[:-1], np.diff(UNEVEN)
    together = bin_mass(kernel, start, width, 30.0, 15.0)
    order = np.random.default_rng(1).permutation(len(start))[:50]
    np.testing.assert_allclose(bin_mass(kernel, start[order], width[order], 30.0, 15.0), together[order], atol=1e-15)


def test_a_bank_is_its_kernels_one_by_one():
    members = [Kernel(mode=m, shape=s, tail=t) for m in (5.0, 20.0) for s in (2.0, 3.5) for t in (0.0, 0.2)]
    members += [Kernel(family="window", mode=8.0), delayed(Kernel(mode=8.0), 17.0, 5.0)]
    start, width = UNEVEN[:-1], np.diff(UNEVEN)
    for length in (0.0, 30.0):
        together = bank(members, start, width, 12.0, length)
        for row, kernel in zip(together, members, strict=True):
            edges = kernel.cdf(UNEVEN - 12.0)
            if length:
                edges = (kernel.cdf_integral(UNEVEN - 12.0) - kernel.cdf_integral(UNEVEN - 12.0 - length)) / length
            np.testing.assert_allclose(row, np.diff(edges), atol=1e-14)


@pytest.mark.parametrize(("mean", "sd"), [(17.0, 5.0), (50.0, 20.0), (3.0, 0.2)])
@pytest.mark.parametrize("kernel", DEFAULTS, ids=name)
def test_delay_matches_quadrature(kernel, mean, sd):
    stream, delay = delayed(kernel, mean, sd), stats.gamma((mean / sd) ** 2, scale=sd**2 / mean)
    for t in (3.3, 20.0, 41.0, 90.0, 160.0):
        breaks = sorted({b for b in (12.0, 18.0, t - mean, t - mean - 3 * sd, t - mean + 3 * sd) if 0 < b < t})
        exact = integrate.quad(
            lambda u, t=t: float(kernel.pdf(u)) * delay.cdf(t - u), 0, t, points=breaks, epsabs=1e-11, limit=500
        )[0]
        assert stream.cdf(t) == pytest.approx(exact, abs=3e-6)
    assert stream.cdf(stream.quantile(0.7)) == pytest.approx(0.7, abs=1e-9)


def test_delay_matches_simulated_viewers():
    kernel = Kernel(family="lognormal", mode=12.0, shape=0.5)
    rng = np.random.default_rng(3)
    lags = 12.0 * np.exp(0.25 + 0.5 * rng.standard_normal(100_000)) + rng.gamma(6.25, 8.0, 100_000)
    stream = delayed(kernel, 50.0, 20.0)
    assert stats.kstest(lags, stream.cdf).pvalue > 0.001
    assert stream.mean == pytest.approx(lags.mean(), abs=4 * lags.std() / 316)
    grid = np.linspace(0, 150, 15_001)
    assert stream.mode_s == pytest.approx(grid[np.argmax(stream.pdf(grid))], abs=0.02)


@pytest.mark.parametrize("kernel", DEFAULTS, ids=name)
def test_a_delayed_response_rises_and_adds_up(kernel):
    stream = delayed(kernel, 43.0, 12.0)
    lags = np.linspace(-10, 3000, 40_001)
    assert (np.diff(stream.cdf(lags)) >= -1e-12).all()
    assert stream.cdf(-1.0) == 0
    assert stream.cdf(3000.0) == pytest.approx(1.0, abs=1e-7)
    area = integrate.quad(lambda u: float(stream.cdf(u)), 0, 120, limit=400, epsabs=1e-11)[0]
    assert stream.cdf_integral(120.0) == pytest.approx(area, abs=1e-7)
    rise = (stream.cdf(60.0 + 1e-4) - stream.cdf(60.0 - 1e-4)) / 2e-4
    assert stream.pdf(60.0) == pytest.approx(rise, rel=1e-5)


def test_no_spread_is_a_shift_and_no_delay_nothing():
    kernel = Kernel(mode=10.0, tail=0.1)
    stream = delayed(kernel, 17.0)
    lags = np.linspace(0, 90, 31)
    np.testing.assert_array_equal(stream.cdf(lags), kernel.cdf(lags - 17))
    np.testing.assert_array_equal(stream.pdf(lags), kernel.pdf(lags - 17))
    np.testing.assert_array_equal(stream.cdf_integral(lags), kernel.cdf_integral(lags - 17))
    assert stream.mode_s == kernel.mode_s + 17
    assert stream.quantile(0.5) == kernel.quantile(0.5) + 17
    assert delayed(kernel, 0.0) is kernel
    assert delayed(kernel, 17.0) is stream


@pytest.mark.parametrize("shift", [0.0, 0.25, 1 / 3])
@pytest.mark.parametrize(
    "kernel", [Kernel(mode=10.0), delayed(Kernel(mode=10.0), 17.0, 5.0)], ids=["kernel", "delayed"]
)
def test_exposures_add_up_on_and_off_the_lattice(kernel, shift):
    second = 1.7e9 + np.arange(120.0)
    rng = np.random.default_rng(2)
    at = second[:40] + shift + (rng.uniform(0, 0.4, 40) if shift == 1 / 3 else 0.0)
    counts = rng.poisson(5, 40)
    one_by_one = sum(n * bin_mass(kernel, second, np.ones(120), t, 1.0) for n, t in zip(counts, at, strict=True))
    np.testing.assert_allclose(exposure_mass(kernel, second, np.ones(120), at, counts), one_by_one, atol=1e-5)


def test_exposures_at_a_moment_are_a_unit_response_each():
    start, width = np.arange(60.0), np.ones(60)
    mass = exposure_mass(Kernel(mode=10.0), start, width, np.array([3.5]), np.array([7.0]), exposure_width_s=0.0)
    np.testing.assert_allclose(mass, 7 * bin_mass(Kernel(mode=10.0), start, width, 3.5), atol=1e-14)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Kernel(family="normal"), "family is 'normal'; choose one of gamma"),
        (lambda: Kernel(mode=0.0), "mode is 0.0; choose a positive"),
        (lambda: Kernel(mode=np.inf), "mode is inf"),
        (lambda: Kernel(shape=1.0), "shape is 1.0; choose 1.01 or more"),
        (lambda: Kernel(family="window", shape=0.9), "shape is 0.9; choose 1 or more"),
        (lambda: Kernel(tail=1.0), "tail is 1.0; choose a share"),
        (lambda: Kernel(tail_scale=-1.0), "tail_scale is -1.0"),
        (lambda: Kernel().quantile(1.5), "p is 1.5; choose probabilities"),
        (lambda: delayed(Kernel(), -3.0), "mean is -3.0; choose a delay"),
        (lambda: delayed(Kernel(), 3.0, -1.0), "sd is -1.0"),
        (lambda: delayed(Kernel(), 0.0, 1.0), "mean is 0 with sd 1.0"),
        (lambda: bin_mass(Kernel(), np.zeros(2), np.ones(3), 0.0), "width_s"),
        (lambda: bin_mass(Kernel(), np.zeros(1), -np.ones(1), 0.0), "negative width"),
        (lambda: bin_mass(Kernel(), np.zeros(1), np.ones(1), np.nan), "onset_s is nan"),
        (lambda: bin_mass(Kernel(), np.zeros(1), np.ones(1), 0.0, -2.0), "length_s is -2.0"),
        (lambda: exposure_mass(Kernel(), np.zeros(1), np.ones(1), np.zeros(2), np.zeros(3)), "exposure_counts"),
        (lambda: exposure_mass(Kernel(), np.zeros(1), np.ones(1), np.zeros(1), -np.ones(1)), "counts of 0 or more"),
    ],
)
def test_refusals_name_argument_and_remedy(make, message):
    with pytest.raises(ValueError, match=message):
        make()
