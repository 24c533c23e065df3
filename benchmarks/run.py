"""Runs the benchmarks, prints them beside what others reported, and writes benchmarks/results.json.

    python benchmarks/run.py [--only NAME] [--latency MS --bandwidth MBIT]

All parties and the dealer run on this machine. Every figure is a median over repeats; machines are noisy: compare ratios.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

Result = dict[str, Any]

COMPARED = {
    "mul_1m": "goal 0.15 s, 25 MB",
    "matmul_dense": "goal 0.02 s; single triples would send 33 MB",
    "relu_100k": "goal 0.06 s, 1.1 MB, 6 rounds (and 4 of the MAC check)",
    "less_100k_exact": "goal 0.15 s, 2.5 MB, 8 rounds (and 4 of the MAC check)",
    "linreg_gd": "goal 0.2 s (5 parties 0.45 s); SCALE-MAMBA (study, simpler job): 3 / 4 / 5.6 s for 2 / 3 / 5 parties",
    "linreg_64": "goal 1e-5; SCALE-MAMBA (study): 6e-5",
    "cnn_shallow_poly_step": "goal 0.6 s, 40 MB; study: 66.9 MB optimised, 210.8 MB baseline, about 108 s a step",
    "cnn_shallow_step": "goal 0.5 s, 30 MB; study: 66.9 MB and about 108 s with a polynomial and a public softmax",
    "cnn_deep_step": "goal 0.8 s, 37 MB; study: 82.3 MB with a polynomial and a public softmax",
    "softmax_128x10": "goal 0.05 s, 25 rounds (and 4 of the MAC check)",
    "cnn_shallow_epoch": "goal 8 min, within 0.5 points of float32; study: 14 h without preprocessing",
    "shamir_mul_1m": "goal 0.15 s, 8.5 MB; MP-SPDZ: Shamir 0.34 s, 8 MB, malicious 0.91 (3.4 with material)",
    "shamir_corrected_mul_1m": "material included; wrong shares of one of four parties are corrected",
    "shamir_relu_100k": "goal 1 s, material included; Rep3 0.10 s",
    "shamir_cnn_shallow_step": "goal 10 s, 400 MB, material included; Rep3 63 s, 563 MB (ReLU before pool)",
    "shamir_storm": "one run of 30 steps; goal: 100 of 100 end, none wrong",
    "shamir_loss": "goal 1.5 s; others hang or stop",
    "shamir_linreg_gd": "goal 0.3 s (9 parties 1.5 s), material included; Rep3 0.73 s",
    "kernel_matmul_1024": "goal 4 GMAC/s with IFMA",
    "kernel_matmul_1024_portable": "goal 1.2 GMAC/s",
    "transport_round": "goal 0.1 ms for 2 parties, 0.5 ms for 5",
    "transport_both_ways": "goal 400 MB/s",
    "hello": "goal 0.9 s",
    "setup": "goal 2 s for 2 parties, 10 s for 5; LowGear: > 140 s",
    "triples": "goal 200,000 /s and 500 B; MASCOT 13,000 /s and 5.65 kB; CowGear (covert only) 19,100 /s and 0.97 kB",
    "matmul_triple_dense": "goal 0.6 s, 30 MB; CowGear with single triples: over 45 s",
    "cnn_shallow_poly_step_total": "goal 40 s, 2.5 GB",
    "cnn_shallow_step_total": "goal 180 s; SPDZ2k: 10,000 comparisons 19.5 s, 1.2 GB",
    "linreg_gd_total": "goal 3 / 6 / 15 s for 2 / 3 / 5 parties; SPDZ2k, 64 x 1: 49 s and 4 GB; the study: up to an hour",
}


def tacit(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tacit.cli", *arguments]


def online(
    name: str, parties: int, protocol: Sequence[str] = ("--dealer",), called: str = ""
) -> Callable[..., list[Result]]:
    """With a dealer, the material received before. `called`: under which name it is listed, if not its own."""
    return measured("online.py", name, parties, protocol, called)


def prepared(name: str, parties: int) -> Callable[..., list[Result]]:
    """Without a third party; making the material is included."""
    return measured("preparation.py", name, parties, ("--timeout", "300"))


def measured(
    script: str, name: str, parties: int, options: Sequence[str], called: str = ""
) -> Callable[..., list[Result]]:
    def run(line: list[str], *arguments: str) -> list[Result]:
        command = tacit("run", "-n", str(parties), *options, *line, str(HERE / script), name, *arguments)
        done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
        marked = [text for text in done.stdout.splitlines() if "RESULT " in text]
        if done.returncode or not marked:
            raise SystemExit(f"{name} with {parties} parties failed:\n{done.stdout}{done.stderr}")
        return [json.loads(marked[0].split("RESULT ", 1)[1]) | ({"name": called} if called else {})]

    return run


def lost(line: list[str]) -> list[Result]:
    """Seven parties, of which one is killed: until the next operation of the others has ended. Time-out 1 s."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(3):
            run = online("loss", 7, ("--protocol", "shamir", "--threshold", "2", "--timeout", "1"), "shamir_loss")
            found += run(line, str(Path(folder) / str(turn)))
    return [found[0] | {"value": statistics.median(f["value"] for f in found)}]


def hello(line: list[str]) -> list[Result]:
    """From command to exit: share two numbers, multiply, reveal."""
    command = tacit("run", "-n", "2", "--dealer", *line, str(HERE.parent / "examples" / "hello.py"))
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True, timeout=120)
        seconds.append(time.perf_counter() - start)
    return [{"name": "hello", "value": round(statistics.median(seconds[1:]), 3), "unit": "s", "parties": 2, "note": ""}]


def epoch(line: list[str]) -> list[Result]:
    """One epoch of the shallow MNIST net by the example, ten accuracies on all test images included. TACIT_MNIST: the data."""
    data = os.environ.get("TACIT_MNIST")
    if not data:
        raise SystemExit("cnn_shallow_epoch needs MNIST: set TACIT_MNIST to the folder with its four .gz files")
    options = ["--data", data, "--steps", "469", "--test", "10000", "--points", "10"]
    command = tacit("run", "-n", "2", "--dealer", *line, str(HERE.parent / "examples" / "mnist_cnn.py"), *options)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    start_of_curve = next(i for i, text in enumerate(lines) if "private" in text and "clear" in text)
    print("\n".join(lines[start_of_curve : start_of_curve + 13]))
    final = [text.split(":")[-1].strip() for text in lines if "accuracy of the" in text]
    spent = next(text for text in lines if "seconds of training" in text).split("seconds of training: ")[1]
    note = f"accuracy {final[0]}, in the clear {final[1]}; training alone, 10 x 10,000 test images took{spent.split(':')[1]} s"
    seconds = float(spent.split(",")[0])
    return [{"name": "cnn_shallow_epoch", "value": seconds, "unit": "s", "parties": 2, "note": note}]


def kernels(line: list[str]) -> list[Result]:
    """In a process of its own, with one thread."""
    environment = {**os.environ, "TACIT_THREADS": "1"}
    code = f"import sys, json; sys.path.insert(0, {str(HERE)!r}); import kernels; print(json.dumps(kernels.run()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    return list(json.loads(done.stdout.splitlines()[-1]))


def transport(line: list[str]) -> list[Result]:
    import transport as module

    return list(module.run())


def jobs() -> list[tuple[str, Callable[[list[str]], list[Result]]]]:
    """In order: the name that --only asks for (a prefix will do), and what runs it."""
    wanted: list[tuple[str, Callable[[list[str]], list[Result]]]] = [
        ("hello", hello),
        ("mul_1m", online("mul_1m", 2)),
        ("matmul_dense", online("matmul_dense", 2)),
        ("relu_100k", online("relu_100k", 2)),
        ("less_100k_exact", online("less_100k_exact", 2)),
    ]
    wanted += [("linreg_gd", online("linreg_gd", n)) for n in (2, 3, 5)]
    wanted += [
        ("linreg_64", online("linreg_64", 2)),
        ("cnn_shallow_poly_step", online("cnn_shallow_poly_step", 2)),
        ("softmax_128x10", online("softmax_128x10", 2)),
        ("cnn_shallow_step", online("cnn_shallow_step", 2)),
        ("cnn_deep_step", online("cnn_deep_step", 2)),
        *(("setup", prepared("setup", n)) for n in (2, 5)),
        ("triples", prepared("triples", 2)),
        ("matmul_triple_dense", prepared("matmul_triple_dense", 2)),
        *(("linreg_gd_total", prepared("linreg_gd_total", n)) for n in (2, 3, 5)),
        ("cnn_shallow_poly_step_total", prepared("cnn_shallow_poly_step_total", 2)),
        ("cnn_shallow_step_total", prepared("cnn_shallow_step_total", 2)),
        *(
            (name, online(job, n, ("--protocol", "shamir"), name))
            for name, job, n in (
                ("shamir_mul_1m", "products_1m", 3),
                ("shamir_relu_100k", "relu_100k", 3),
                ("shamir_cnn_shallow_step", "cnn_shallow_step", 3),
                ("shamir_linreg_gd", "linreg_gd", 3),
                ("shamir_linreg_gd", "linreg_gd", 9),
            )
        ),
        (
            "shamir_corrected_mul_1m",
            online("unopened_1m", 4, ("--protocol", "shamir-corrected"), "shamir_corrected_mul_1m"),
        ),
        ("shamir_loss", lost),
        ("transport", transport),
        ("kernel", kernels),
    ]
    return wanted


def storm(line: list[str]) -> list[Result]:
    """A hundred trainings in which nodes come and go."""
    done = subprocess.run([sys.executable, str(HERE / "storm.py")], capture_output=True, text=True, check=True)
    print("\n".join(done.stdout.splitlines()[:-1]))
    found = json.loads(done.stdout.splitlines()[-1].split("RESULT ")[1])
    note = "{ended} of {runs} ended, {wrong} wrong; {losses} losses, {returns} returns".format(**found)
    return [{"name": "shamir_storm", "value": found["seconds"], "unit": "s", "parties": found["parties"], "note": note}]


LONG = [("cnn_shallow_epoch", epoch), ("shamir_storm", storm)]
"""For `make bench-full`."""


STUDY = {
    "cnn_shallow_step": {"0(Conv2d)": 903, "2(ReLU)": 2408, "4(Linear)": 867},
    "cnn_deep_step": {"0(Conv2d)": 903, "2(ReLU)": 2408, "3(Conv2d)": 1013, "5(ReLU)": 602, "7(Linear)": 218},
}
"""What the study sends in one step, optimised, in thousands of values of 128 bits (its softmax is public)."""


def show_layers(result: Result) -> None:
    study = STUDY.get(result["name"], {})
    print(f"{'':36} {'layer':22} {'forward':>10} {'backward':>10}   the study, both")
    for layer, (forward, backward) in result["layers"].items():
        theirs = f"{study[layer] * 16e3 / 1e6:10.3f} MB" if layer in study else ""
        print(f"{'':36} {layer:22} {forward / 1e6:7.3f} MB {backward / 1e6:7.3f} MB   {theirs}")


def show(result: Result) -> None:
    sent = (
        f"{result['bytes_per_party'] / 1e6:9.3f} MB {result['rounds']:5d} rounds" if "bytes_per_party" in result else ""
    )
    name = f"{result['name']} ({result['parties']})"
    value = result["value"]
    print(f"{name:36} {value:10.4g} {result['unit']:9} {sent:24} {COMPARED.get(result['name'], '')}")
    if result["note"]:
        print(f"{'':36} {result['note']}")
    if "layers" in result:
        show_layers(result)
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="run what starts with this name")
    parser.add_argument("--latency", type=float, help="emulate a line: milliseconds one way")
    parser.add_argument("--bandwidth", type=float, help="emulate a line: Mbit/s of each party")
    parser.add_argument("--full", action="store_true", help="what takes long as well")
    given = parser.parse_args()
    line = [f"--{k}={v}" for k in ("latency", "bandwidth") if (v := getattr(given, k)) is not None]
    known = jobs() + (LONG if given.full or given.only else [])
    chosen = [
        (n, measure) for n, measure in known if not given.only or n.startswith(given.only) or given.only.startswith(n)
    ]
    if not chosen:
        raise SystemExit(f"no benchmark {given.only!r}; there are: {', '.join(dict.fromkeys(n for n, _ in known))}")
    print(f"{'benchmark (parties)':36} {'median':>10} {'':9} {'sent by a party':24} for comparison")
    results = []
    for name, measure in chosen:
        for result in measure(line):
            if given.only and not result["name"].startswith(given.only) and name != given.only:
                continue
            if line:
                result["note"] = f"emulated line {' '.join(line)}; {result['note']}"
            results.append(result)
            show(result)
    if not line:
        write(results)


def write(results: list[Result]) -> None:
    """Replace what was measured again; keep the rest."""
    path = HERE / "results.json"
    old = json.loads(path.read_text()) if path.exists() else []
    fresh = {(r["name"], r["parties"]) for r in results}
    kept = [r for r in old if (r["name"], r["parties"]) not in fresh]
    path.write_text(json.dumps(sorted(kept + results, key=lambda r: (r["name"], r["parties"])), indent=1) + "\n")


if __name__ == "__main__":
    main()
