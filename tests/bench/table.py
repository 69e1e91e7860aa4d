"""The table of the bench on stdout, and its raw figures in a JSON file."""
import json
import os

HEAD = "%-34s %10s %10s %10s %12s %18s"
ROW = "  %-32s %10.3f %10.3f %10.1f %12.3f %18.2f"


class Table:
    def __init__(self, about):
        self.raw = {"about": about, "parts": {}, "marks": []}

    def title(self, text):
        print("\n" + text, flush=True)

    def line(self, name, text):
        print("  %-32s %s" % (name, text), flush=True)

    def rates(self, part, found, size, what, base):
        """Programs that read pages: figures a gigabyte, and CPU as a multiple of that of another: base(name) is its name."""
        print(HEAD % ("", "CPU s/GB", "wall s/GB", "peak MB", "server s/GB", "CPU / " + what))
        for name, one in found.items():
            print(ROW % (name, one["cpu"] / size * 1e9, one["wall"] / size * 1e9, one["rss"] / 1e6,
                         one["server_cpu"] / size * 1e9, one["cpu"] / found[base(name)]["cpu"]), flush=True)
        self.keep(part, {"bytes": size, "programs": found})

    def keep(self, part, figures):
        self.raw["parts"][part] = figures

    def mark(self, what, figure, most=None, least=None, form="%.3f"):
        """A figure that may be at most, or has to be at least, so much."""
        met = figure <= most if least is None else figure >= least
        self.raw["marks"].append({"what": what, "figure": figure, "most": most, "least": least, "form": form, "met": met})

    def marks(self):
        """All marks, and how many are met."""
        marks, rounds = self.raw["marks"], self.raw["about"]["rounds"]
        if not marks:
            return
        print()
        for mark in marks:
            word, bound = ("at most", mark["most"]) if mark["least"] is None else ("at least", mark["least"])
            figure, bound = mark["form"] % mark["figure"], word + " " + mark["form"] % bound
            print("mark: %-60s | %10s | %-17s | %s" % (mark["what"], figure, bound, "met" if mark["met"] else "NOT met"))
        few = "" if rounds >= 5 else "; medians of %d round%s only" % (rounds, "s" if rounds > 1 else "")
        print("%d of %d marks met%s" % (sum(mark["met"] for mark in marks), len(marks), few))

    def save(self, path):
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(self.raw, file, indent=1)
        os.rename(path + ".new", path)
