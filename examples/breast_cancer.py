"""A diagnosis learned by two hospitals: each holds other measurements of the same patients, one of them knows the diagnoses.

    tacit run -n 2 examples/breast_cancer.py

scikit-learn's bundled breast cancer data: party 0 holds the means of 10 features, party 1 their errors and
largest values. What is revealed is how often the model is right about patients it was not trained on, and, to party 0 alone, the
model. No torch here: secrets are arrays.
"""

import numpy as np
from sklearn import linear_model, preprocessing
from sklearn.datasets import load_breast_cancer

import tacit
from tacit.learn import LogisticRegression, StandardScaler

PATIENTS = 569
TEST = np.arange(0, PATIENTS, 4)
TRAIN = np.setdiff1d(np.arange(PATIENTS), TEST)
UNITS = np.tile([1, 1, 1, 100, 1, 1, 1, 1, 1, 1], 3)  # areas in units of 100, so that all stay below 4096


def means() -> np.ndarray:
    return (load_breast_cancer().data / UNITS)[:, :10]


def others() -> np.ndarray:
    return (load_breast_cancer().data / UNITS)[:, 10:]


def diagnoses() -> np.ndarray:
    return load_breast_cancer().target


def in_the_clear() -> float:
    """The same by scikit-learn, if somebody had all columns."""
    X, y = np.concatenate([means(), others()], 1), diagnoses()
    scaler = preprocessing.StandardScaler().fit(X[TRAIN])
    model = linear_model.LogisticRegression().fit(scaler.transform(X[TRAIN]), y[TRAIN])
    return float(model.score(scaler.transform(X[TEST]), y[TEST]))


def main() -> None:
    with tacit.session() as session:
        X = session.table(columns={0: means, 1: others}, shapes={0: (PATIENTS, 10), 1: (PATIENTS, 20)})
        y = session.secret(diagnoses, owner=1, shape=(PATIENTS,))
        scaler = StandardScaler()
        model = LogisticRegression().fit(scaler.fit_transform(X[TRAIN]), y[TRAIN])
        accuracy = session.reveal(model.score(scaler.transform(X[TEST]), y[TEST]))
        coefficients = session.reveal(model.coef_, to=0)  # the model itself: for the first hospital alone
        if session.me == 0:
            print(f"accuracy on patients it has not seen: {accuracy:.1%}")
            print(f"the same by scikit-learn, in the clear: {in_the_clear():.1%}")
            print(
                "what counts most:",
                ", ".join(load_breast_cancer().feature_names[np.argsort(-abs(coefficients[0]))[:3]]),
            )
            print(session.report())


if __name__ == "__main__":
    main()
