"""Coverage-guided fuzzing of every decoder (`pip install '.[fuzz]'`).

    python -m tests.hostile.fuzz [--seconds 60] [--keep] [NAME ...]

Each decoder runs in a process of its own, from right messages and from what earlier runs kept. `--keep` writes the shortest of
the inputs that together reach all that was reached to `corpus/NAME.hex`, a line each; every run of the tests repeats these.
"""

import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import click

CORPUS = Path(__file__).with_name("corpus")
MOST, LONGEST = 24, 512
"""Inputs of a decoder that are kept, and their bytes, at most."""


def place(name):
    return CORPUS / f"{name.replace(' ', '_')}.hex"


def kept(name):
    path = place(name)
    return [bytes.fromhex(line) for line in path.read_text().splitlines()] if path.exists() else []


def child(name, *options):
    """One decoder, until it fails or its time is over: this process ends here."""
    import atheris

    with atheris.instrument_imports(include=["tacit", "tomllib"]):
        from tests.hostile import decoders

    atheris.Setup(
        [shlex.join(command(name)), *options],  # which it runs again to merge
        lambda data: decoders.decoded(name, data),
    )
    atheris.Fuzz()


def command(name):
    return [sys.executable, "-m", "tests.hostile.fuzz", "--child", "--", name]


def run(name, *options):
    done = subprocess.run([*command(name), *options], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def fuzz(name, seconds, keep, samples):
    """Whether nothing was found."""
    with tempfile.TemporaryDirectory() as folder:
        corpus, small = Path(folder) / "corpus", Path(folder) / "small"
        corpus.mkdir(), small.mkdir()
        for i, data in enumerate([*samples, *kept(name)]):
            (corpus / str(i)).write_bytes(data)
        status, said = run(
            name, f"-max_total_time={seconds}", f"-artifact_prefix={folder}/", "-max_len=4096", str(corpus)
        )
        for found in sorted(Path(folder).glob("*-*")):
            said += f"\n{found.name.partition('-')[0]}: bytes.fromhex({found.read_bytes().hex()!r})"
        if status == 0 and keep:
            status, said = run(name, "-merge=1", str(small), str(corpus))
            inputs = sorted((p.read_bytes() for p in small.iterdir()), key=len)
            lines = sorted({data.hex() for data in inputs[:MOST] if len(data) <= LONGEST})
            CORPUS.mkdir(exist_ok=True)
            place(name).write_text("".join(line + "\n" for line in lines if line))
    print(f"{name}: {'nothing' if status == 0 else said}", flush=True)
    return status == 0


@click.command()
@click.option("--seconds", default=60, help="For each decoder.")
@click.option("--keep", is_flag=True)
@click.option("--child", "one", is_flag=True, hidden=True)
@click.argument("names", nargs=-1)
def main(seconds, keep, one, names):
    if one:
        child(*names)
    from tests.hostile.decoders import DECODERS

    found = [name for name in names or DECODERS if not fuzz(name, seconds, keep, DECODERS[name][1])]
    sys.exit(f"found something: {', '.join(found)}" if found else 0)


if __name__ == "__main__":
    main()
