"""StandardScaler beside scikit-learn's."""

import numpy as np
import pytest
import sklearn.preprocessing as sk
from learning import PROTOCOLS, data, entered, together

from tacit.learn import StandardScaler


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("name", "rows"), [("breast_cancer", 100), ("wine", None), ("digits", 60)])
def test_data_as_they_come(name, rows, protocol):
    """Deviations from 0.003 to 600; the digits have columns that are constant."""
    X = np.clip(entered(data(name, rows, standardised=False)[0]), -4000, 4000)
    reference = sk.StandardScaler().fit(X)

    def work(s):
        x, scaler = s.secret(X, owner=0), StandardScaler()
        z = scaler.fit_transform(x)
        return s.reveal([scaler.mean_, scaler.var_, scaler.scale_, z, scaler.transform(x), scaler.inverse_transform(z)])

    mean, var, scale, z, again, back = together(work, protocol)
    large = reference.scale_ > 2**-6
    np.testing.assert_allclose(mean, reference.mean_, atol=2e-5)
    np.testing.assert_allclose(scale[large], reference.scale_[large], rtol=2e-4)
    np.testing.assert_allclose(scale, reference.scale_, rtol=1e-3)
    np.testing.assert_allclose(var, reference.var_, rtol=2e-3, atol=1e-6)
    error = 2e-4 * np.abs(X - reference.mean_) / reference.scale_ + 2**-16 / reference.scale_
    assert (np.abs(z - reference.transform(X)) < error + 1e-4).all()
    assert (np.abs(again - reference.transform(X)) < error + 1e-4).all()
    assert (np.abs(back - X) < 2e-4 * (np.abs(X - reference.mean_) + reference.scale_) + 2**-14).all()


@pytest.mark.parametrize(("mean", "std"), [(False, True), (True, False)])
def test_parts_of_it(mean, std):
    X = data("diabetes", 50)[0] * 3 + 1
    reference = sk.StandardScaler(with_mean=mean, with_std=std).fit(X)

    def work(s):
        x, scaler = s.secret(X, owner=0), StandardScaler(with_mean=mean, with_std=std)
        z = scaler.fit_transform(x)
        assert (scaler.scale_ is None) == (scaler.var_ is None) == (not std)
        return s.reveal([z, scaler.fit(x).transform(x), scaler.inverse_transform(z)])

    z, again, back = together(work)
    np.testing.assert_allclose(z, reference.transform(X), atol=1e-3)
    np.testing.assert_allclose(again, reference.transform(X), atol=1e-3)
    np.testing.assert_allclose(back, X, atol=2e-3)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_means_far_from_zero(protocol):
    """Both ways to transform take off the same mean, though 1 / rows is a public constant of 16 bits."""
    X = entered(np.random.default_rng(0).normal(size=(60, 3)) + np.array([1000.0, -2000, 30]))

    def work(s):
        x, scaler = s.secret(X, owner=0), StandardScaler()
        z = scaler.fit_transform(x)
        return s.reveal([z, scaler.transform(x)])

    for z in together(work, protocol):
        np.testing.assert_allclose(z, sk.StandardScaler().fit_transform(X), atol=1e-3)
