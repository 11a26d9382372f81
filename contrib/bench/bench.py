#!/usr/bin/env python3
"""Measures Homing beside inadyn and ddclient, in one run on one machine, without the Internet.

Prints figures, goals and ratios, and never judges them. All traffic stays on 127.0.0.1, in a
network namespace of its own; without root the rows that need one are skipped, loudly.
README.md says what each row means and what it does not prove.
"""
import argparse
import contextlib
import dataclasses
import json
import math
import os
import pathlib
import platform
import random
import re
import shutil
import signal
import statistics
import sys
import tempfile
import time
import tomllib

sys.dont_write_bytecode = True   # leave nothing behind, not even beside the script

import lab                                                              # noqa: E402
from programs import Ddclient, Floor, Homing, Inadyn, Setup             # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
ROUND_TRIP = 0.020               # seconds, pretended in the row "scale"
STEADY = 12                      # seconds until a daemon has put away its start-up threads


# ---------------------------------------------------------------- one measurement

@dataclasses.dataclass
class Run:
    """What one run cost, and what the server saw of it."""
    wall_ms: float
    cpu_ms: float
    status: int
    updated: int
    requests: int
    connections: int


class Job:
    """One program with one configuration, its folder and its own server."""

    def __init__(self, bench, program, setup):
        self.program, self.name, self.setup = program, program.name, setup
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{self.name}.", dir=bench.folder))
        tls = setup.certificates
        self.server = lab.Server(tls.context if tls else None, setup.delay)
        self.forget()
        program.configure(self.folder, setup, self.server.server_address[1])

    def forget(self):
        """Makes the program's state fresh."""
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        (self.folder / "state").mkdir(0o700)

    def once(self):
        """One run, timed from before its start to its end."""
        self.server.forget()
        argv = self.program.once(self.folder)
        start = time.monotonic_ns()
        status, usage = lab.wait(lab.spawn(argv, self.folder))
        wall = (time.monotonic_ns() - start) / 1e6
        return Run(wall, (usage.ru_utime + usage.ru_stime) * 1e3, status,
                   len(self.server.updated()), len(self.server.requests), self.server.connections)

    def instructions(self):
        """Millions of user-space instructions of one run and its children; [] if unknown."""
        logs = pathlib.Path(tempfile.mkdtemp(prefix="callgrind.", dir=self.folder))
        lab.wait(lab.spawn([shutil.which("valgrind"), "--tool=callgrind", "--trace-children=yes",
                            "--callgrind-out-file=/dev/null", f"--log-file={logs}/%p",
                            *self.program.once(self.folder)], self.folder))
        found = [int(count) for log in logs.iterdir()
                 for count in re.findall(r"Collected : (\d+)", log.read_text(errors="replace"))]
        return [sum(found) / 1e6] if found else []

    @contextlib.contextmanager
    def running(self, patience=20):
        """The daemon's process id, from when it has updated every host until the block ends.

        Raises TimeoutError when it sends nothing for `patience` seconds before that.
        """
        self.forget()
        self.server.forget()
        pid, hosts = lab.spawn(self.program.daemon(self.folder), self.folder), self.setup.hosts
        try:
            while len(self.server.updated()) < hosts:
                seen = len(self.server.requests)
                if not self.server.first(lambda _: len(self.server.requests) > seen, patience):
                    raise TimeoutError(f"{self.name} fell silent after updating "
                                       f"{len(self.server.updated())} of {hosts} hosts; "
                                       f"{self.last_words()}")
            yield pid
        finally:
            lab.stop(pid)

    def last_words(self):
        """The last line that the program printed, for a note."""
        log = self.folder / "log"
        lines = log.read_text(errors="replace").split("\n") if log.exists() else []
        return next((f"it said: …{line.strip()[-120:]}" for line in reversed(lines)
                     if line.strip()), "it said nothing")


def alternate(jobs, rounds, fresh, warm_up=True):
    """Runs all jobs once a round, each round another first, so that noise hits all alike."""
    runs = {job.name: [] for job in jobs}
    for number in range(-1 if warm_up else 0, rounds):
        shift = number % max(len(jobs), 1)
        for job in jobs[shift:] + jobs[:shift]:
            if fresh:
                job.forget()
            run = job.once()
            if number >= 0:
                runs[job.name].append(run)
    return runs


def column(runs, name):
    """One attribute of the runs of every program."""
    return {program: [getattr(run, name) for run in done] for program, done in runs.items()}


# ---------------------------------------------------------------- what is printed

def shown(value):
    """A figure with three digits or so."""
    if value is None:
        return "–"
    if value == int(value) or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def median(values):
    """The median, or None of nothing."""
    return statistics.median(values) if values else None


def p90(values):
    """The value below which nine tenths lie."""
    return sorted(values)[math.ceil(0.9 * len(values)) - 1]


def ratio(ours, theirs):
    """Median of the ratios of paired runs, or None."""
    if not ours or not theirs or len(ours) != len(theirs) or not all(theirs):
        return None
    return statistics.median(a / b for a, b in zip(ours, theirs))


class Table:
    """The figures of one row of the bench: a line per measure, a column per program."""

    def __init__(self, title, columns, peers):
        self.title, self.columns, self.peers = title, columns, peers
        self.lines, self.notes, self.samples = [], [], {}

    def add(self, measure, goal, figures):
        """Adds a measure; `figures` maps a column to its list of values."""
        self.lines.append((measure, goal, figures))

    def note(self, text):
        """Adds a sentence under the table, once."""
        if text not in self.notes:
            self.notes.append(text)

    def check(self, jobs, runs, hosts):
        """Notes every program that did not do what it was asked: its figures mean nothing."""
        for job in jobs:
            bad = [run for run in runs[job.name] if run.status or run.updated != hosts]
            if bad:
                self.note(f"NOT COMPARABLE: {job.name}, in {len(bad)} of {len(runs[job.name])} "
                          f"runs, ended with {bad[-1].status} after updating {bad[-1].updated} "
                          f"hosts where {hosts} were expected; {job.last_words()}")

    def ratios(self, figures):
        """Homing's figure over each peer's."""
        return {peer: ratio(figures.get("homing"), figures.get(peer)) for peer in self.peers}

    def text(self):
        """The table as people read it."""
        rows = [["", "goal", *self.columns, *(f"homing/{peer}" for peer in self.peers)]]
        for measure, goal, figures in self.lines:
            values = [median(figures.get(name)) for name in self.columns]
            rows.append([measure, goal, *map(shown, [*values, *self.ratios(figures).values()])])
        widths = [max(map(len, cells)) for cells in zip(*rows)]
        lines = [f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  " + "  ".join(
            f"{cell:>{width}}" for cell, width in zip(row[2:], widths[2:])) for row in rows]
        return "\n".join([self.title, *lines, *(f"  * {note}" for note in self.notes)])

    def json(self):
        """The same for machines, with every single value."""
        return {"title": self.title, "notes": self.notes, "samples": self.samples, "figures": [
            {"measure": measure, "goal": goal, "values": figures, "ratios": self.ratios(figures)}
            for measure, goal, figures in self.lines]}


# ---------------------------------------------------------------- the rows

class Bench:
    """What the rows share: the options, the programs, the temporary folder, the network."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.link, self.no_link = None, ""
        try:
            lab.enter_namespace()
            self.link = lab.Link()
        except OSError as error:
            self.no_link = str(error)
        self.homing = Homing(options.homing)
        self.programs = [self.homing, Inadyn(), Ddclient()]
        self.present = [program for program in self.programs if program.path]
        self.certificates = lab.Certificates(folder / "tls")

    def table(self, title):
        """A table that already names the programs that are not there."""
        names = [program.name for program in self.programs]
        table = Table(title, names, names[1:])
        for program in self.programs:
            if not program.path:
                table.note(program.absent())
        return table

    @contextlib.contextmanager
    def jobs(self, setup, programs=None):
        """A job for each program that is there, their servers closed at the end."""
        made = [Job(self, program, setup) for program in programs or self.present]
        try:
            yield made
        finally:
            for job in made:
                job.server.close()

    def count(self, table, goal, jobs, fresh):
        """Adds the line of instruction counts, if valgrind is there."""
        if not shutil.which("valgrind"):
            table.note("instructions: valgrind: not installed (apt-get install valgrind)")
            return
        counts = {}
        for job in jobs:
            if fresh:
                job.forget()
            counts[job.name] = job.instructions()
        table.add("instructions, M (callgrind)", goal, counts)

    def count_each(self, table, goal):
        """Adds the line of instructions for each of many hosts when nothing has changed."""
        hosts, counts = (1, 1001), {}
        if not shutil.which("valgrind"):
            return                   # said by `count`
        for setup in (Setup(count, source="interface") for count in hosts):
            with self.jobs(setup) as jobs:
                for job in jobs:
                    job.once()
                    counts.setdefault(job.name, []).append(job.instructions())
        thousands = {name: [(many[0] - one[0]) * 1e3 / (hosts[1] - hosts[0])]
                     for name, (one, many) in counts.items() if one and many}
        table.add("instructions for each of 1000 hosts, k", goal, thousands)

    def note_start(self, table):
        """Notes what starting and ending the smallest program takes, measured likewise."""
        times = []
        for _ in range(20):
            start = time.monotonic_ns()
            lab.wait(lab.spawn([shutil.which("true", path=lab.CLEAN_PATH)], self.folder))
            times.append((time.monotonic_ns() - start) / 1e6)
        table.note(f"wall holds the start of a process: {shown(median(times))} ms for true(1)")


def stripped_size(path, folder):
    """Bytes of a program without its symbols; as it is if it is a script or strip is absent."""
    copy = folder / "stripped"
    lab.output("strip", "-s", "-o", copy, path)
    size = (copy if copy.exists() else pathlib.Path(path)).stat().st_size
    copy.unlink(missing_ok=True)
    return size


def needed_size(path):
    """Bytes of a script's interpreter and of the shared libraries beyond libc and libgcc."""
    first = pathlib.Path(path).read_bytes()[:128].split(b"\n")[0].decode("latin-1")
    files = [first[2:].split()[0]] if first.startswith("#!") else []
    for name, file in re.findall(r"(\S+) => (/\S+)", lab.output("ldd", *(files or [path]))):
        if not re.match(r"(ld-linux.*|lib(c|m|dl|rt|pthread|gcc_s))\.so", name):
            files.append(file)
    return sum(os.stat(file).st_size for file in files)


def package_size(packages):
    """MiB of Debian packages with all they depend on, beyond what every Debian system has."""
    def closure(names):
        lines = lab.output("apt-cache", "depends", "--recurse", "--installed", "--important",
                           *names)
        return {line for line in lines.split("\n") if line and line[0] not in " <|"}
    every = lab.output("dpkg-query", "-W", "-f", "${Essential} ${Package}\n").split("\n")
    extra = closure(packages) - closure([line[4:] for line in every if line.startswith("yes ")])
    sizes = lab.output("dpkg-query", "-W", "-f", "${Installed-Size}\n", *extra) if extra else ""
    return sum(map(int, sizes.split())) / 1024


def row_size(bench):
    """What a program takes on disk."""
    table = bench.table("bytes on disk")
    for measure, goal, size in (
            ("program, stripped, MB", "<= 3, later 4",
             lambda program: stripped_size(program.path, bench.folder) / 1e6),
            ("interpreter, libraries, MB", "", lambda program: needed_size(program.path) / 1e6),
            ("Debian packages, MiB", "",
             lambda program: package_size(program.package.split()) if program.package else 0)):
        table.add(measure, goal, {program.name: [size(program)] for program in bench.present})
    table.note("MB are 10^6 bytes; libraries are those beyond libc and libgcc, by ldd; packages "
               "are those beyond Debian's essential ones, and some may be there for others")
    return table


def row_once(bench):
    """A fresh start, one host, HTTPS: what a first boot pays."""
    table = bench.table("one run, fresh state, one host, HTTPS, web source; medians")
    with bench.jobs(Setup(certificates=bench.certificates)) as jobs:
        runs = alternate(jobs, bench.options.runs, fresh=True)
        table.check(jobs, runs, 1)
        table.add("wall, ms", "<= 8", column(runs, "wall_ms"))
        table.add("CPU, ms", "<= 6", column(runs, "cpu_ms"))
        bench.count(table, "<= 6", jobs, fresh=True)
        table.add("requests (echo and update)", "", column(runs, "requests"))
        table.add("connections", "", column(runs, "connections"))
    bench.note_start(table)
    return table


def row_unchanged(bench):
    """Another run although nothing changed: what cron pays every five minutes."""
    table = bench.table("the runs after that, nothing changed, interface source; medians")
    with bench.jobs(Setup(source="interface", certificates=bench.certificates)) as jobs:
        table.check(jobs, alternate(jobs, 1, fresh=True, warm_up=False), 1)
        runs = alternate(jobs, bench.options.runs, fresh=False)
        table.check(jobs, runs, 0)
        table.add("wall, ms", "<= 2.5", column(runs, "wall_ms"))
        table.add("CPU, ms", "", column(runs, "cpu_ms"))
        bench.count(table, "<= 1.5", jobs, fresh=False)
        table.add("requests, all runs together", "0",
                  {name: [sum(counts)] for name, counts in column(runs, "requests").items()})
    bench.note_start(table)
    bench.count_each(table, "<= 60")
    return table


def row_scale(bench):
    """A hundred hosts at a distance."""
    hosts, rounds = 100, min(3, bench.options.runs)
    table = bench.table(f"{hosts} hosts, HTTPS, {ROUND_TRIP * 1e3:.0f} ms round trip; medians of "
                        f"{rounds}")
    apart = Setup(hosts, certificates=bench.certificates, delay=ROUND_TRIP, apart=True)
    with bench.jobs(apart) as jobs:
        singly = alternate(jobs, rounds, fresh=True, warm_up=False)
        table.check(jobs, singly, hosts)
    batched = dict(singly)
    if bench.homing.path:
        with bench.jobs(dataclasses.replace(apart, apart=False), [bench.homing]) as jobs:
            batched |= alternate(jobs, rounds, fresh=True, warm_up=False)
            table.check(jobs, batched, hosts)
    for way, runs, goals in (("apart", singly, ("<= 500", "<= 8")),
                             ("by 20", batched, ("<= 200", ""))):
        table.add(f"{way}: wall, ms", goals[0], column(runs, "wall_ms"))
        table.add(f"{way}: connections", goals[1], column(runs, "connections"))
        table.add(f"{way}: requests", "", column(runs, "requests"))
    table.note("apart and by 20 are Homing's two ways (batch = 1, and its default); the peers have "
               "one each, shown twice: inadyn asks for each host alone, ddclient for all at once")
    return table


def row_memory(bench):
    """A thousand hosts: the daemon at its peak and after."""
    hosts = 1000
    table = bench.table(f"the daemon's RSS with {hosts} hosts, HTTP, web source, MiB")
    samples = {}
    with bench.jobs(Setup(hosts)) as jobs:
        for job in jobs:
            try:
                with job.running() as pid:
                    time.sleep(2)
                    samples[job.name] = lab.memory(pid)
            except TimeoutError as error:
                table.note(str(error))
    for measure, goal, key in (("peak", "<= 8", "peak"), ("idle", "<= 8", "rss"),
                               ("idle, its own", "<= 2", "own")):
        table.add(measure, goal, {name: [sample[key]] for name, sample in samples.items()})
    table.note("its own is what no file holds (Anonymous in smaps_rollup); the rest are pages of the "
               "program and its libraries")
    return table


def state_files(job):
    """The files that the program keeps, with the time each was last written."""
    return {path: path.stat().st_mtime_ns
            for path in (job.folder / "state").rglob("*") if path.is_file()}


def row_idle(bench):
    """A daemon with nothing to do, after its first HTTPS update."""
    seconds = bench.options.seconds
    table = bench.table(f"daemon, interface source, {seconds} s after one HTTPS update")
    samples, switches, asked, files, written = {}, {}, {}, {}, {}
    with bench.jobs(Setup(source="interface", certificates=bench.certificates)) as jobs:
        willing = []
        for job in jobs:             # alone first: at the same time they would share pages
            try:
                with job.running() as pid:
                    time.sleep(3)
                    samples[job.name] = lab.memory(pid)
                    willing.append(job)
            except TimeoutError as error:
                table.note(str(error))
        with contextlib.ExitStack() as stack:
            pids = {job: stack.enter_context(job.running()) for job in willing}
            time.sleep(STEADY)
            before = {job: (lab.wake_ups(pid), state_files(job)) for job, pid in pids.items()}
            for job in willing:
                job.server.forget()
            time.sleep(seconds)
            for job, pid in pids.items():
                switched, state = before[job]
                switches[job.name] = [(lab.wake_ups(pid) - switched) * 60 / seconds]
                samples[job.name]["threads"] = lab.memory(pid)["threads"]
                asked[job.name] = [len(job.server.requests)]
                files[job.name] = [len(state_files(job))]
                written[job.name] = [len(set(state_files(job).items()) - set(state.items()))]
    for measure, goal, key in (("RSS, MiB", "<= 4.5", "rss"), ("PSS, MiB", "<= 3", "pss"),
                               ("private, MiB", "", "private"), ("threads", "", "threads")):
        table.add(measure, goal, {name: [sample[key]] for name, sample in samples.items()})
    table.add("wake-ups a minute", "0 but the poll", switches)
    table.add("requests meanwhile", "", asked)
    table.add("state files", "", files)
    table.add("state files written meanwhile", "", written)
    table.note(f"wake-ups are voluntary context switches of all threads, from {STEADY} s after the "
               "update; PSS shares libc and libssl with this script where it uses the same files, "
               "private counts what nobody shares")
    return table


def settle_ms(job):
    """The settle time in the configuration that Homing was given, in milliseconds."""
    config = tomllib.loads((job.folder / "config.toml").read_text())
    number, unit = re.fullmatch(r"(\d+)(ms|s)", config["daemon"]["settle"]).groups()
    return int(number) * {"ms": 1, "s": 1000}[unit]


def reactions(job, link, changes, table):
    """Milliseconds from just before each address change to the arrival of its request.

    A program that does not watch the kernel is kicked as soon as the address is there.
    """
    found = []
    with job.running() as pid:
        time.sleep(1)
        for _ in range(changes):
            time.sleep(random.uniform(0.3, 0.6))
            job.server.forget()
            before = link.move()
            job.program.kick(pid, job.folder)
            request = job.server.first(lambda seen: seen.address == link.address, 10)
            if request:
                found.append((request.arrival - before) / 1e6)
            else:
                table.note(f"{job.name} missed a change for 10 s; {job.last_words()}")
    return found


def row_reaction(bench):
    """From a change of address to the request that follows from it."""
    changes, block = bench.options.changes, 5
    columns = ["floor", "homing", "homing HTTPS", "inadyn, kicked", "ddclient, kicked"]
    table = Table(f"{changes} address changes, from just before each to its request's arrival, ms",
                  columns, [])
    floor, plain = Floor(bench.folder), Setup(source="interface")
    secure = dataclasses.replace(plain, certificates=bench.certificates)
    times, settle = {}, {}
    with contextlib.ExitStack() as stack:
        jobs = {}
        for name, program, setup in zip(columns, (floor, *[bench.homing] * 2, *bench.programs[1:]),
                                        (plain, plain, secure, plain, plain)):
            if not program.path:
                table.note(program.absent())
                continue
            jobs[name], = stack.enter_context(bench.jobs(setup, [program]))
            times[name] = []
            settle[name] = settle_ms(jobs[name]) if program is bench.homing else 0
        for start in range(0, changes, block):       # by turns, so that noise hits all alike
            for name, job in list(jobs.items()):
                try:
                    times[name] += reactions(job, bench.link, min(block, changes - start), table)
                except TimeoutError as error:
                    table.note(str(error))
                    del jobs[name]
    table.samples = times = {name: sorted(values) for name, values in times.items() if values}
    for offset, label in enumerate(("", ", less settle", ", less settle, over the floor")):
        for kind, choose in (("median", median), ("p90", p90), ("max", max)):
            less = {name: choose(values) - (settle[name] if offset else 0)
                    for name, values in times.items()}
            floor_took = less.pop("floor", None) if offset == 2 else 0
            if floor_took is not None and less:
                table.add(kind + label, "<= 5 in HTTP" if (kind, offset) == ("median", 2) else "",
                          {name: [took - floor_took] for name, took in less.items()})
    table.note(f"settle is {max(settle.values(), default=0)} ms, from the configuration written "
               "here; the floor has none")
    for name in columns[1:]:
        pace = ratio([median(times.get(name, []))], [median(times.get("floor", []))])
        table.note(f"{name}: {shown(pace)} times the floor's median")
    table.note("inadyn and ddclient do not watch the kernel: here a hook kicks them (SIGUSR2; a run) "
               "at once. As shipped they look every 120 s and 300 s, half of that is their median")
    return table


ROWS = {"size": row_size, "once": row_once, "unchanged": row_unchanged, "scale": row_scale,
        "memory": row_memory, "idle": row_idle, "reaction": row_reaction}
NEED_LINK = {"unchanged", "idle", "reaction"}


# ---------------------------------------------------------------- the command

def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--homing", type=pathlib.Path, metavar="FILE",
                        default=HERE.parents[1] / "target/release/homing",
                        help="release binary (default: %(default)s)")
    parser.add_argument("--only", default=",".join(ROWS), metavar="ROWS",
                        help="rows to measure, by commas (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=20, metavar="N",
                        help="timed runs in once and unchanged (default: %(default)s)")
    parser.add_argument("--changes", type=int, default=20, metavar="N",
                        help="address changes in reaction; 50 for a record (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=60, metavar="N",
                        help="window of idle (default: %(default)s)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE",
                        help="also write every single value there")
    options = parser.parse_args()
    options.homing = options.homing.resolve()
    options.only = options.only.split(",")
    unknown = [row for row in options.only if row not in ROWS]
    if unknown:
        parser.error(f"no row called {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if min(options.runs, options.changes, options.seconds) < 1:
        parser.error("--runs, --changes and --seconds begin at 1")
    if not shutil.which("openssl"):
        parser.error("openssl: not installed (apt-get install openssl)")
    return options


def machine():
    """Where and when, for whoever finds the figures later."""
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return {"when": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "system": platform.platform(),
            "processor": model.group(1) if model else platform.machine(),
            "cores": os.cpu_count(), "load": os.getloadavg()[0]}


def measure(options, folder):
    """Measures and prints the rows that were asked for."""
    bench = Bench(options, folder)
    facts = machine() | {program.name: program.version() for program in bench.present}
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    print("Ratios hold within this run only; below 1 Homing takes less.")
    tables = {}
    for row in options.only:
        print(f"\n== {row}: ", end="", flush=True)
        if row in NEED_LINK and not bench.link:
            print("SKIPPED. It needs a network namespace with an interface of its own, which only "
                  f"root can make ({bench.no_link}): sudo {sys.argv[0]} --only {row}")
            continue
        tables[row] = ROWS[row](bench)
        print(tables[row].text())
    if options.json:
        rows = {row: table.json() for row, table in tables.items()}
        options.json.write_text(json.dumps({"machine": facts, "rows": rows}, indent=1) + "\n")


def interrupted(number, _):
    """Turns a signal into an exception, so that everything is cleared away."""
    raise TimeoutError if number == signal.SIGALRM else SystemExit(128 + number)


def main():
    """Runs the bench and leaves nothing behind."""
    options = arguments()
    endings = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    for number in (*endings, signal.SIGALRM):
        signal.signal(number, interrupted)
    with tempfile.TemporaryDirectory(prefix="homing-bench.") as folder:
        try:
            measure(options, pathlib.Path(folder))
        finally:
            for number in endings:
                signal.signal(number, signal.SIG_IGN)
            lab.stop_all()


if __name__ == "__main__":
    main()
