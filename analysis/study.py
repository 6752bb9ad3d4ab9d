"""What the studies share: running kendall, and writing what it said as Markdown tables.

`KENDALL` names the program; without it, a release build of this repository is made and used.
"""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def program():
    """The path of kendall."""
    given = os.environ.get("KENDALL")
    if given:
        return given
    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "kendall"], cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return str(target / "release" / "kendall")


class Study:
    """A folder with scenarios; `results.md` collects what was found."""

    def __init__(self, file):
        self.folder = pathlib.Path(file).resolve().parent
        self.kendall = program()
        self.lines = [
            f"# Results of analysis/{self.folder.name}",
            "",
            f"Made by `python3 analysis/{self.folder.name}/run.py`. Intervals are 95 % Student-t intervals over replications.",
        ]

    def run(self, *args, ok=(0,)):
        """Standard output of a kendall command, run in the folder."""
        done = subprocess.run([self.kendall, *args], cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode not in ok:
            sys.exit(f"kendall {' '.join(args)}: exit code {done.returncode}\n{done.stderr}")
        return done.stdout

    def json(self, *args, ok=(0,)):
        """Its JSON."""
        return json.loads(self.run(*args, "--quiet", "--json", ok=ok))

    def sweep(self, scenario, *vary, replications=5, changes=(), figures=()):
        """The points of a sweep; plots of `figures` are kept as figures/PREFIX-NAME.svg."""
        args = ["sweep", scenario, "--replications", str(replications)]
        args += [word for values in vary for word in ("--vary", values)]
        args += [word for change in changes for word in ("--set", change)]
        points = self.json(*args)["points"]
        if figures:
            out = self.folder / "out"
            self.run(*args, "--quiet", "--out", str(out), "--fresh")
            (self.folder / "figures").mkdir(exist_ok=True)
            for name in figures:
                source = next(out.glob(f"{name}*.svg"))
                source.replace(self.folder / "figures" / f"{pathlib.Path(scenario).stem}-{name}.svg")
            for left in out.iterdir():
                left.unlink()
            out.rmdir()
        return points

    def heading(self, text):
        self.lines += ["", f"## {text}", ""]

    def text(self, text):
        self.lines += [text, ""]

    def code(self, text):
        self.lines += ["```text", text.rstrip(), "```", ""]

    def table(self, header, rows):
        self.lines.append("| " + " | ".join(header) + " |")
        self.lines.append("|" + "---|" * len(header))
        self.lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]

    def write(self):
        (self.folder / "results.md").write_text("\n".join(self.lines).rstrip() + "\n")


def digits(value):
    """Four significant digits."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def figure(point, name, scale=1.0):
    """`mean +- half-width` of a point's figure; a dash where it has none, as the TTFT of an overloaded queue."""
    estimate = point["figures"].get(name)
    if not estimate:
        return "-"
    mean, half = estimate["mean"] * scale, estimate["half_width"]
    return digits(mean) if half is None else f"{digits(mean)} +- {digits(half * scale)}"
