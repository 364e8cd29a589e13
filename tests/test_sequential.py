"""Sequential evidence: each closed form by another route, counts of 1e9, validity by simulation, refusals."""

from decimal import Decimal, getcontext
from math import exp, log, sqrt

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from attribution import sequential as sq

BERNOULLI = ((1, 6), (-1, 30), (1, 42), (-1, 30), (5, 66), (-691, 2730), (7, 6), (-3617, 510))


def slow_log_gamma(z):
    """Log gamma to 40 digits: recurrence to 200, then Stirling's series."""
    getcontext().prec = 60
    z, shift = Decimal(z), Decimal(0)
    while z < 200:
        shift += z.ln()
        z += 1
    half_log_2pi = Decimal("0.918938533204672741780329736405617639861397473637783412817")
    series = sum(
        Decimal(a) / Decimal(b) / (2 * k * (2 * k - 1) * z ** (2 * k - 1))
        for k, (a, b) in enumerate(BERNOULLI, start=1)
    )
    return (z - Decimal("0.5")) * z.ln() - z + half_log_2pi + series - shift


def slow_multinomial(n, theta, a):
    parts = [Decimal(float(t)) * Decimal(a) for t in theta]
    total, events = sum(parts), sum(int(v) for v in n)
    out = slow_log_gamma(total) - slow_log_gamma(total + events)
    for p, v, t in zip(parts, n, theta, strict=True):
        out += slow_log_gamma(p + int(v)) - slow_log_gamma(p) - int(v) * Decimal(float(t)).ln()
    return float(out)


def slow_poisson(n, mu, a):
    a, mu = Decimal(a), Decimal(mu)
    free = a * a.ln() - slow_log_gamma(a) + slow_log_gamma(a + n)
    return float(free - (a + n) * (a + mu).ln() + mu)


def rows(seed, means, bins):
    return np.random.default_rng(seed).poisson(means, (bins, len(means)))


# ---- shares ----------------------------------------------------------------------------------------------------------


def test_multinomial_is_the_sum_of_its_predictions():
    theta, a = np.array([0.5, 0.3, 0.2]), 40.0
    kinds = np.random.default_rng(0).choice(3, 300, p=[0.4, 0.4, 0.2])
    state, path, total = a * theta, [], 0.0
    for kind in kinds:  # event by event: log of predicted over null probability
        total += log(state[kind] / state.sum() / theta[kind])
        state[kind] += 1
        path.append(total)
    np.testing.assert_allclose(sq.multinomial_log_e(np.eye(3)[kinds], theta, concentration=a), path, atol=1e-9)


@pytest.mark.parametrize("scale", [10**3, 10**6, 10**9])
def test_multinomial_keeps_its_digits(scale):
    theta = np.array([0.5, 0.25, 0.25])
    for off in (0, int(3 * sqrt(scale)), scale // 50):
        n = np.array([scale // 2 + off, scale // 4, scale // 4 - off])
        exact = slow_multinomial(n, theta, 100)
        assert sq.multinomial_log_e(n[None], theta)[0] == pytest.approx(exact, abs=1e-9, rel=1e-12)


def test_streams_may_be_permuted():
    data, theta = rows(1, [30, 20, 9], 50), np.array([0.5, 0.3, 0.2])
    order = [2, 0, 1]
    np.testing.assert_allclose(sq.multinomial_log_e(data[:, order], theta[order]), sq.multinomial_log_e(data, theta))
    np.testing.assert_allclose(
        sq.share_interval(data[:, order], theta[order])[0], sq.share_interval(data, theta)[0][:, order], atol=1e-12
    )


def test_always_valid_p_only_falls():
    p = sq.always_valid_p(np.array([-np.inf, -3.0, 2.0, 1.0, 900.0]))
    np.testing.assert_allclose(p, [1, 1, exp(-2), exp(-2), 0], atol=1e-15)


def test_share_interval_is_where_log_e_meets_the_limit():
    data, theta, a = rows(2, [30, 20], 25), np.array([0.5, 0.5]), 60.0
    lower, upper = sq.share_interval(data, theta, concentration=a, alpha=0.1)
    n = data.cumsum(0)

    def log_e(p, t):  # the mixture of prior a x theta against share p
        beta = special.betaln(a / 2 + n[t, 0], a / 2 + n[t, 1]) - special.betaln(a / 2, a / 2)
        return beta - n[t, 0] * log(p) - n[t, 1] * log(1 - p) - log(10)

    low, high = 0.0, 1.0
    for t in range(25):
        seen = n[t, 0] / n[t].sum()
        low = max(low, optimize.brentq(log_e, 1e-12, seen, args=(t,), xtol=1e-14))
        high = min(high, optimize.brentq(log_e, seen, 1 - 1e-12, args=(t,), xtol=1e-14))
        assert lower[t] == pytest.approx([low, 1 - high], abs=1e-9)
        assert upper[t] == pytest.approx([high, 1 - low], abs=1e-9)


def test_share_interval_is_a_projection():
    data, theta, a = rows(3, [12, 9, 30], 1), np.array([0.3, 0.3, 0.4]), 50.0
    lower, upper = sq.share_interval(data, theta, concentration=a)
    n, prior = data[0], a * theta

    def least_log_e(p):  # over the other shares, at their best by brute force
        other = np.linspace(1e-6, 1 - 1e-6, 200_001) * (1 - p)
        mixture = sum(special.gammaln(prior + n)) - special.gammaln(a + n.sum())
        mixture -= sum(special.gammaln(prior)) - special.gammaln(a)
        return np.min(mixture - n[0] * log(p) - n[1] * np.log(other) - n[2] * np.log(1 - p - other))

    for end in (lower[0, 0], upper[0, 0]):
        assert least_log_e(end) == pytest.approx(log(20), abs=1e-6)


def test_share_interval_before_any_event_is_everything():
    lower, upper = sq.share_interval(np.array([[0, 0], [5, 0]]), [0.5, 0.5])
    assert (lower[0], upper[0]) == (pytest.approx([0, 0]), pytest.approx([1, 1]))
    assert upper[1, 0] == 1
    assert lower[1, 1] == 0
    assert 0 < lower[1, 0] < 1


def test_share_interval_resolves_a_billion():
    n = np.array([4 * 10**8 + 17, 6 * 10**8 - 17])
    lower, upper = sq.share_interval(n[None], [0.5, 0.5])
    null = slow_multinomial(n, [0.5, 0.5], 100)
    for end in (lower[0, 0], upper[0, 0]):
        p = Decimal(float(end))
        moved = int(n[0]) * (Decimal("0.5") / p).ln() + int(n[1]) * (Decimal("0.5") / (1 - p)).ln()
        assert float(Decimal(null) + moved) == pytest.approx(log(20), abs=1e-5)


def test_rate_ratio_removes_exposure():
    data, theta = rows(4, [60, 20], 200), np.array([0.75, 0.25])
    lower, upper = sq.rate_ratio_interval(data, theta)
    share_low, share_high = sq.share_interval(data, theta)
    np.testing.assert_allclose(lower, special.logit(share_low[:, 0]) - log(3), atol=1e-9)
    np.testing.assert_allclose(upper, special.logit(share_high[:, 0]) - log(3), atol=1e-9)
    assert lower[-1] < 0 < upper[-1]
    assert np.isneginf(sq.rate_ratio_interval(np.array([[0, 4]]), [0.5, 0.5])[0][0])


# ---- Poisson counts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "mu", "a"), [(0, 3.0, 2.0), (12, 9.5, 0.5), (150, 100.0, 10.0), (90, 100.0, 30.0)])
def test_poisson_is_its_integral(n, mu, a):
    def density(theta):
        return exp(n * log(theta) - (theta - 1) * mu + stats.gamma.logpdf(theta, a, scale=1 / a)) if theta > 0 else 0.0

    peak = max((a + n - 1) / (a + mu), 1e-3)
    edges = [peak, 2 * peak, 1.0]
    both = integrate.quad(density, 0, 60, points=edges, epsabs=0, epsrel=1e-12, limit=500)[0]
    above = integrate.quad(density, 1, 60, points=[1.1, max(peak, 1.2)], epsabs=0, epsrel=1e-12, limit=500)[0]
    two_sided = sq.poisson_log_e(n, mu, prior_shape=a, alternative="two-sided")
    assert two_sided == pytest.approx(log(both), abs=1e-8)
    truncated = log(above) - stats.gamma.logsf(1, a, scale=1 / a)
    assert sq.poisson_log_e(n, mu, prior_shape=a) == pytest.approx(truncated, abs=1e-9)


@pytest.mark.parametrize("n", [10**3, 10**6, 10**9])
def test_poisson_keeps_its_digits(n):
    for off in (0, int(4 * sqrt(n)), n // 20):
        exact = slow_poisson(n, n - off, 5)
        got = sq.poisson_log_e(n, float(n - off), prior_shape=5.0, alternative="two-sided")
        assert got == pytest.approx(exact, abs=1e-9, rel=1e-12)


def test_poisson_far_below_expectation_is_finite_and_continuous():
    expected = np.linspace(1000.0, 5000.0, 400)  # Q underflows on the way
    path = sq.poisson_log_e(500, expected, prior_shape=10.0)
    assert np.isfinite(path).all()
    assert (np.diff(path) < 0).all()
    assert np.abs(np.diff(path, 2)).max() < 2e-3
    far = integrate.quad(
        lambda s: exp(500 * np.log1p(s) - 5000 * s + stats.gamma.logpdf(1 + s, 10, scale=0.1)), 0, 0.05
    )
    assert path[-1] == pytest.approx(log(far[0]) - stats.gamma.logsf(1, 10, scale=0.1), abs=1e-9)


@pytest.mark.parametrize("n", [0, 1, 37, 10**4, 10**9])
def test_intensity_interval_is_where_log_e_meets_the_limit(n):
    lower, upper = sq.intensity_interval(n, prior_shape=4.0, alpha=0.01)
    assert lower <= n <= upper
    for end in (lower, upper):
        if end > 0:
            log_e = sq.poisson_log_e(n, float(end), prior_shape=4.0, alternative="two-sided")
            assert log_e == pytest.approx(log(100), abs=1e-8)
    assert (lower == 0) == (sq.poisson_log_e(n, 0.0, prior_shape=4.0, alternative="two-sided") < log(100))


# ---- lifts over a baseline -------------------------------------------------------------------------------------------

LIFTS = np.array([0.0, 0.2, 0.5, 1.1])
KERNEL = np.r_[np.zeros(5), np.exp(-np.arange(35) / 12.0)]


def test_fixed_baseline_is_a_mean_of_likelihood_ratios():
    x = np.random.default_rng(5).poisson(9 * (1 + 0.4 * KERNEL))
    terms = [np.cumsum(stats.poisson.logpmf(x, 9 * (1 + b * KERNEL)) - stats.poisson.logpmf(x, 9.0)) for b in LIFTS]
    exact = special.logsumexp(terms, axis=0) - log(4)
    np.testing.assert_allclose(sq.fixed_baseline_log_e(x, KERNEL, LIFTS, baseline=9.0), exact, atol=1e-9)


def test_history_baseline_is_an_integral_over_the_rate():
    x = np.random.default_rng(6).poisson(4 * (1 + 0.4 * KERNEL))

    def mass(b, t):  # likelihood of t bins and of 30 events in 8 bins of history, rate under 1/lambda
        rise = 1 + b * KERNEL[:t]

        def integrand(rate):
            value = stats.poisson.logpmf(30, 8 * rate) + stats.poisson.logpmf(x[:t], rate * rise).sum()
            return exp(value + 2.5 * t) / rate

        return integrate.quad(integrand, 0.5, 15, points=[4.0], epsabs=0, epsrel=1e-11, limit=200)[0]

    got = sq.history_baseline_log_e(x, KERNEL, LIFTS, history_count=30, history_bins=8)
    for t in (1, 7, 20, 40):
        assert got[t - 1] == pytest.approx(log(np.mean([mass(b, t) for b in LIFTS]) / mass(0, t)), abs=1e-8)


def test_control_is_conditionally_binomial():
    rng = np.random.default_rng(7)
    x, y = rng.poisson(8 * (1 + 0.5 * KERNEL)), rng.poisson(12.0, 40)
    terms = []
    for b in LIFTS:
        p = 0.4 * (1 + b * KERNEL) / (1 + 0.4 * b * KERNEL)
        terms.append(np.cumsum(stats.binom.logpmf(x, x + y, p) - stats.binom.logpmf(x, x + y, 0.4)))
    exact = special.logsumexp(terms, axis=0) - log(4)
    np.testing.assert_allclose(sq.control_log_e(x, KERNEL, LIFTS, control=y, share=0.4), exact, atol=1e-9)


@pytest.mark.parametrize("discount", [1.0, 0.9, 0.4])
def test_drifting_baseline_is_a_filter_bin_by_bin(discount):
    x = np.random.default_rng(8).poisson(9 * (1 + 0.4 * KERNEL))
    terms = []
    for b in (0.0, *LIFTS):
        a, rate, total, path = 20.0, 2.0, 0.0, []
        for count, k in zip(x, KERNEL, strict=True):
            a, rate, q = discount * a, discount * rate, 1 + b * k
            total += stats.nbinom.logpmf(count, a, rate / (rate + q))
            a, rate = a + count, rate + q
            path.append(total)
        terms.append(path)
    exact = special.logsumexp(terms[1:], axis=0) - log(4) - terms[0]
    got = sq.drifting_baseline_log_e(x, KERNEL, LIFTS, prior_count=20.0, prior_bins=2.0, discount=discount)
    np.testing.assert_allclose(got, exact, atol=1e-9)


def slow_joint(x, y, kernel, lifts, c, discounts, phi, history):
    """Run the joint filter one bin, discount and lift at a time, with scipy's distributions."""
    likelihood = {}
    first = (x[:history].sum() + y[:history].sum() + 0.5) / history
    for d in discounts:
        for b in (None, *lifts):
            a, rate, out = first / phi, (1 + c) / phi, []
            for i in range(len(x)):
                rise, n = 1 + (b or 0.0) * kernel[i], x[i] + y[i]
                e = rise + c
                m = a / rate * e
                r = m / (phi - 1 + m / (d * a))
                out.append(stats.nbinom.logpmf(n, r, r / (r + m)) + stats.binom.logpmf(x[i], n, rise / e))
                a, rate = d * a + n / phi, d * rate + e / phi
            likelihood[d, b] = np.array(out)
    # The split at the null share is the same for all discounts; it cancels from their weights.
    past = np.array([likelihood[d, None][max(history - 200, 0) : history].sum() for d in discounts])
    weight = 0.8 * special.softmax(past) + 0.2 / len(discounts)
    share, spread = 1 / (1 + c), 1.0
    for size in (1, 5, 15, 30):
        chi = []
        for end in range(history, size - 1, -size):
            block, n = x[end - size : end].sum(), (x + y)[end - size : end].sum()
            chi += [(block - n * share) ** 2 / (n * share * (1 - share))] if n else []
        spread = max(spread, np.mean(chi))
    paths = {key: np.cumsum(value[history:]) for key, value in likelihood.items()}
    mixed = [special.logsumexp([paths[d, b] for b in lifts], axis=0) - log(len(lifts)) for d in discounts]
    top = special.logsumexp(np.array(mixed) + np.log(weight)[:, None], axis=0)
    return np.r_[np.zeros(history), (top - np.max([paths[d, None] for d in discounts], axis=0)) / spread]


@pytest.mark.parametrize("phi", [1.0, 1.7])
@pytest.mark.parametrize("rate", [0.3, 25.0])
def test_joint_filter_is_its_equations(phi, rate):
    rng = np.random.default_rng(9)
    kernel = np.r_[np.zeros(240), KERNEL]
    wander = np.exp(0.3 * np.sin(np.arange(280) / 9))
    x, y = rng.poisson(rate * wander * (1 + 0.6 * kernel)), rng.poisson(1.5 * rate * wander)
    options = {"ratio": 1.5, "discounts": (0.98, 0.9, 0.7, 0.4), "dispersion": phi, "history": 240}
    exact = slow_joint(x, y, kernel, LIFTS, 1.5, options["discounts"], phi, 240)
    np.testing.assert_allclose(sq.joint_filter_log_e(x, y, kernel, LIFTS, **options), exact, atol=1e-9)


def test_joint_filter_live_is_the_batch_so_far():
    rng = np.random.default_rng(10)
    kernel = np.r_[np.zeros(100), KERNEL]
    x, y = rng.poisson(20 * (1 + kernel)), rng.poisson(10.0, 140)
    whole = sq.joint_filter_log_e(x, y, kernel, LIFTS, ratio=0.5, history=100)
    assert (whole[:100] == 0).all()
    for t in (100, 101, 117):
        part = sq.joint_filter_log_e(x[:t], y[:t], kernel[:t], LIFTS, ratio=0.5, history=100)
        np.testing.assert_allclose(part, whole[:t], atol=1e-11)


def slow_lifts(x, y, lam, history_count):
    """Each test of a lift in 50 digits after the last bin, its equation term by term."""
    getcontext().prec = 50
    rises = [[Decimal(b) * Decimal(float(k)) for k in KERNEL] for b in TINY]
    x, y, lam = [Decimal(int(v)) for v in x], [Decimal(int(v)) for v in y], Decimal(lam)
    told = [sum(v * (1 + r).ln() for v, r in zip(x, rise, strict=True)) for rise in rises]
    fixed = [t - lam * sum(rise) for t, rise in zip(told, rises, strict=True)]
    past = [(history_count + sum(x)) * (1 + sum(rise) / (50 + len(x))).ln() for rise in rises]
    halves = [sum((v + w) * (1 + r / 2).ln() for v, w, r in zip(x, y, rise, strict=True)) for rise in rises]

    def drifting(rise):
        a, rate, total, keep = Decimal(history_count), Decimal(50), Decimal(0), Decimal("0.98")
        for v, r in zip(x, rise, strict=True):
            a, rate = a * keep, rate * keep
            total += a * (rate / (rate + 1 + r)).ln() + v * ((1 + r) / (rate + 1 + r)).ln()
            a, rate = a + v, rate + 1 + r
        return total

    null = drifting([Decimal(0)] * len(x))
    paths = {
        "fixed": fixed,
        "history": [t - p for t, p in zip(told, past, strict=True)],
        "control": [t - h for t, h in zip(told, halves, strict=True)],
        "drifting": [drifting(rise) - null for rise in rises],
    }
    return {name: float((sum(v.exp() for v in path) / len(path)).ln()) for name, path in paths.items()}


TINY = [1e-5, 1e-4]  # what a billion a bin can tell


@pytest.mark.parametrize("lam", [1e3, 1e6, 1e9])
def test_tests_of_a_lift_keep_their_digits(lam):
    rng = np.random.default_rng(18)
    x, y, past = rng.poisson(lam * (1 + 3e-5 * KERNEL)), rng.poisson(lam, len(KERNEL)), int(rng.poisson(50 * lam))
    got = {
        "fixed": sq.fixed_baseline_log_e(x, KERNEL, TINY, baseline=lam),
        "history": sq.history_baseline_log_e(x, KERNEL, TINY, history_count=past, history_bins=50),
        "control": sq.control_log_e(x, KERNEL, TINY, control=y, share=0.5),
        "drifting": sq.drifting_baseline_log_e(
            x, KERNEL, TINY, prior_count=float(past), prior_bins=50.0, discount=0.98
        ),
    }
    for name, exact in slow_lifts(x, y, lam, past).items():
        assert got[name][-1] == pytest.approx(exact, abs=1e-9), name


# ---- increments, ranks, thresholds -----------------------------------------------------------------------------------


def test_increment_interval_is_its_equation():
    x, y = np.array([200, 300, 0]), np.array([80, 120, 7])
    lower, upper = sq.increment_interval(x, y, ratio=0.5, dispersion=1.4, alpha=0.1, optimal_variance=900.0)
    rho = 900 / (2 * log(10) + log(1 + 2 * log(10)))
    v = 1.4 * (x.cumsum() + y.cumsum() / 0.25)
    half = np.sqrt((v + rho) * np.log((v + rho) / (rho * 0.01)))
    centre = x.cumsum() - y.cumsum() / 0.5
    np.testing.assert_allclose([lower, upper], [centre - half, centre + half], rtol=1e-12)
    options = {"ratio": 0.5, "dispersion": 1.4, "alpha": 0.1, "optimal_variance": 900.0}
    assert sq.increment_interval(500, 207, **options) == pytest.approx((lower[2], upper[2]))
    widths = [np.ptp(sq.increment_interval(300, 300, ratio=1.0, optimal_variance=v)) for v in (300, 600, 1200)]
    assert np.argmin(widths) == 1


def test_placebo_ranks_by_counting():
    rng = np.random.default_rng(11)
    path, placebos = rng.normal(size=30).round(1), rng.normal(size=(99, 7)).round(1)  # with ties
    best = np.maximum.accumulate(path)
    exact = [(1 + (placebos.max(1) >= m).sum()) / 100 for m in best]
    np.testing.assert_allclose(sq.placebo_p(path, placebos), exact)
    np.testing.assert_allclose(sq.placebo_p(path, placebos.max(1)), exact)
    soft = [100 * exp(m) / (np.exp(placebos.max(1)).sum() + exp(m)) for m in best]
    np.testing.assert_allclose(sq.soft_rank_e(path, placebos), soft)
    np.testing.assert_allclose(sq.soft_rank_e([1e4], np.zeros(9)), [10.0])
    np.testing.assert_allclose(sq.soft_rank_e([0.0], np.full(9, 1e4)), [0.0])


def test_soft_rank_averages_one_over_exchangeable_sets():
    values = np.random.default_rng(12).normal(size=20) * 3
    mean = np.mean([sq.soft_rank_e([values[i]], np.delete(values, i))[0] for i in range(20)])
    assert mean == pytest.approx(1.0, abs=1e-12)


def test_e_bh_by_its_definition():
    rng = np.random.default_rng(13)
    for _ in range(50):
        e = rng.exponential(10, 12) ** 2
        sizes = [k for k in range(1, 13) if (e >= 12 / (0.05 * k)).sum() >= k]
        keep = e >= 12 / (0.05 * max(sizes)) if sizes else np.zeros(12, bool)
        np.testing.assert_array_equal(sq.e_bh(e), keep)
    assert sq.e_bh([]).shape == (0,)


@pytest.mark.parametrize(
    ("expected", "least", "published"),
    [  # Kulldorff et al. 2011, table 1; R package Sequential, CV.Poisson
        (0.1, 1, 2.044069), (1, 1, 2.853937), (2, 1, 3.046977), (5, 1, 3.297183), (10, 1, 3.467952), (100, 1, 3.952321),
        (1000, 1, 4.324917), (1, 2, 2.366638), (1, 3, 1.774218), (2, 3, 2.349680),
    ],
)  # fmt: skip
def test_maxsprt_matches_published_values(expected, least, published):
    assert sq.maxsprt_threshold(expected, min_events=least) == pytest.approx(published, abs=1.5e-6)


def test_maxsprt_signals_as_often_as_it_says():
    threshold, seeds = sq.maxsprt_threshold(8.0, alpha=0.1, min_events=3), 20_000
    times = np.cumsum(np.random.default_rng(14).exponential(size=(seeds, 60)), axis=1)
    n = np.arange(1, 61)
    statistic = np.where((n > times) & (times <= 8) & (n >= 3), n * np.log(n / times) + times - n, 0)
    signals = (statistic.max(1) >= threshold).sum()
    assert stats.binom.ppf(0.001, seeds, 0.1) <= signals <= stats.binom.ppf(0.999, seeds, 0.1)
