"""The examples, as a user starts them, with less work than by default."""

import gzip
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def tacit(*arguments):
    command = [sys.executable, "-m", "tacit.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    return done.stdout


def figure(text, words):
    return float(re.search(re.escape(words) + r"\s*([-0-9.]+)", text).group(1))


def test_hello():
    assert tacit("run", "-n", 2, "--dealer", EXAMPLES / "hello.py").count("the product is 42") == 2


@pytest.mark.slow
def test_linear_regression():
    out = tacit("run", "-n", 3, "--dealer", EXAMPLES / "linear_regression.py", "--steps", 60)
    assert abs(figure(out, "share of the variance explained:") - 0.517) < 0.01
    assert figure(out, "largest difference:") < 0.2  # 60 steps of 200


@pytest.mark.slow
def test_breast_cancer():
    out = tacit("run", "-n", 2, "--dealer", EXAMPLES / "breast_cancer.py")
    private, clear = figure(out, "accuracy on patients it has not seen:"), figure(out, "by scikit-learn, in the clear:")
    assert private > 96
    assert abs(private - clear) < 0.8  # one patient of 143


@pytest.mark.slow
def test_digits_cnn():
    out = tacit("run", "-n", 2, "--dealer", EXAMPLES / "digits_cnn.py", "--epochs", 2)
    private, clear = figure(out, "accuracy of the private model:"), figure(out, "of the same run in the clear:")
    assert private > 60
    assert abs(private - clear) < 4


@pytest.mark.slow
def test_digits_cnn_of_three_parties():
    assert "accuracy" in tacit(
        "run", "-n", 3, "--dealer", "--topology", "hub", EXAMPLES / "digits_cnn.py", "--epochs", 1
    )


@pytest.fixture
def little_mnist(tmp_path):
    """Files of MNIST's form, with noise in them."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 256), ("t10k", 40)):
        pixels = rng.integers(0, 256, (count, 28, 28), np.uint8)
        with gzip.open(tmp_path / f"{part}-images-idx3-ubyte.gz", "wb") as file:
            file.write(bytes(16) + pixels.tobytes())
        with gzip.open(tmp_path / f"{part}-labels-idx1-ubyte.gz", "wb") as file:
            file.write(bytes(8) + rng.integers(0, 10, count, np.uint8).tobytes())
    return tmp_path


@pytest.mark.slow
def test_mnist_cnn(little_mnist):
    out = tacit(
        "run", "-n", 2, "--dealer", EXAMPLES / "mnist_cnn.py", "--data", little_mnist, "--steps", 2, "--test", 40
    )
    assert abs(figure(out, "accuracy of the private model:") - figure(out, "of the same run in the clear:")) <= 5


@pytest.mark.slow
def test_mnist_without_data(tmp_path):
    command = [sys.executable, "-m", "tacit.cli", "run", "-n", "2", "--dealer", str(EXAMPLES / "mnist_cnn.py")]
    done = subprocess.run([*command, "--data", str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "train-images-idx3-ubyte.gz is missing" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_plan_of_an_example():
    out = tacit("plan", EXAMPLES / "digits_cnn.py", "--epochs", 1)
    assert "Conv2dWeight" in out
    assert "rounds" in out


@pytest.mark.slow
def test_sensor_network():
    """Seven nodes, of which two are lost: as good as the same training in the clear."""
    example = EXAMPLES / "sensor_network.py"
    out = tacit("run", "-n", 7, "--protocol", "shamir", "--threshold", 2, example, "--lose", 2, "--seed", 3)
    assert len(re.findall(r"lost party \d", out)) == 2
    private, clear = figure(out, "new observations:"), figure(out, "with the same losses")
    assert private > 88
    assert abs(private - clear) < 2
