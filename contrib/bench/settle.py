#!/usr/bin/env python3
"""Finds the shortest settle time that costs no second request, from bursts of real events.

DHCP clients, router advertisements and reconnects change the addresses of an interface in network
namespaces. The kernel's reports are recorded and replayed for each candidate; beside them the real
daemon runs and its requests are counted. Needs root, busybox, udhcpc, udhcpd, isc-dhcp-client and
radvd. README.md says what the columns mean.
"""
import argparse
import contextlib
import ctypes
import json
import math
import os
import pathlib
import random
import select
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True

import lab                                                              # noqa: E402

CANDIDATES = (0, 10, 20, 50, 100, 150, 200, 300, 500, 1000)             # ms
LONGEST_SETTLE, LONGEST_VERDICT = 1000, 3000                            # ms, as in the daemon
LOOKS_EVERY = 0.01               # seconds between two looks at what changes without an event
QUIET = 1.2                      # seconds without an event after which a burst is over
PATIENCE = 20                    # seconds that a burst may take
GATEWAY = "8.8.0.1"


# ---------------------------------------------------------------- the kernel's reports

class Watch(threading.Thread):
    """Hears what the daemon hears, and keeps what the interfaces have after each report."""

    GROUPS = 0x001 | 0x010 | 0x040 | 0x100 | 0x400
    UP, TENTATIVE, DEPRECATED, FAILED = 0x41, 0x40, 0x20, 0x08

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind((0, self.GROUPS))
        self.asking = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self.links, self.routes = {}, set()
        self.last = time.monotonic()
        self.samples = [(self.last, False, self.state())]
        self.start()

    def run(self):
        """Notes each datagram that counts, and what changes without one: the kernel says nothing of
        an address that it still checks for duplicates."""
        while True:
            counts = False
            if select.select([self.socket], [], [], LOOKS_EVERY)[0]:
                for message in messages(self.socket):
                    counts |= self.note(*message)
            now, state = time.monotonic(), self.state()
            if counts:
                self.last = now
            if counts or state != self.samples[-1][2]:
                self.samples.append((now, counts, state))

    def addresses(self):
        """Every address, as the kernel lists them now."""
        self.asking.send(struct.pack("IHHIIB", 17, 22, 0x301, 0, 0, 0))      # RTM_GETADDR, a dump
        while True:
            for kind, body in messages(self.asking):
                if kind == 3:                        # NLMSG_DONE
                    return
                family, _, flags, scope, index = struct.unpack_from("BBBBI", body)
                parts = attributes(body[8:])
                flags = struct.unpack("I", parts[8])[0] if 8 in parts else flags
                yield index, family, parts.get(2, parts.get(1)), scope, flags

    def note(self, kind, body):
        """Takes one message into account; whether the daemon would look because of it."""
        if kind in (20, 21):                         # RTM_NEWADDR, RTM_DELADDR
            return True
        if kind in (16, 17):                         # RTM_NEWLINK, RTM_DELLINK
            family, index, flags = struct.unpack_from("B3xiI", body)
            known = self.links.get(index)
            new = None if kind == 17 else flags & self.UP
            if family != 0 or known == new:
                return False
            self.links[index] = new
            if not (new or 0) & 1:                   # of IPv4's routes the kernel says nothing
                self.routes = {route for route in self.routes if route[0] != index}
            return True
        if kind in (24, 25):                         # RTM_NEWROUTE, RTM_DELROUTE
            family, length = struct.unpack_from("BB", body)
            if length > 3:
                return False
            parts = attributes(body[12:])
            route = (struct.unpack("I", parts[4])[0] if 4 in parts else 0, family)
            (self.routes.discard if kind == 25 else self.routes.add)(route)
            return True
        return False

    def state(self):
        """For each family the addresses with a way out: (address, is deprecated, is tentative)."""
        found = {socket.AF_INET: [], socket.AF_INET6: []}
        for index, family, address, scope, flags in self.addresses():
            if scope == 0 and self.links.get(index) == self.UP and (index, family) in self.routes \
                    and not flags & self.FAILED:
                found[family].append((address.hex(), bool(flags & self.DEPRECATED),
                                      bool(flags & self.TENTATIVE)))
        return found

    def burst(self, begun, is_over):
        """The samples since `begun`, once `is_over` holds for the state and all is quiet."""
        while time.monotonic() - begun < PATIENCE:
            time.sleep(0.05)
            if time.monotonic() - max(self.last, begun) > QUIET and is_over(self.samples[-1][2]):
                return [sample for sample in self.samples if sample[0] >= begun]
        return None


def messages(socket):
    """The kind and the body of each message in the next datagram."""
    data = socket.recv(1 << 16)
    while len(data) >= 16:
        length, kind = struct.unpack_from("IH", data)
        yield kind, data[16:length]
        data = data[(length + 3) & ~3:]


def attributes(data):
    """The attributes of a message, by their type."""
    parts = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("HH", data)
        if length < 4:
            break
        parts[kind & 0x3fff] = data[4:length]
        data = data[(length + 3) & ~3:]
    return parts


# ---------------------------------------------------------------- the daemon's rules, replayed

def choose(addresses, sent):
    """The address that would be published, and whether a tentative one is awaited instead."""
    usable = [address for address, deprecated, tentative in addresses
              if not deprecated and not tentative]
    old = [address for address, deprecated, tentative in addresses if deprecated and not tentative]
    if usable:
        return sent if sent in usable else usable[0], False
    awaited = any(tentative and not deprecated for _, deprecated, tentative in addresses)
    return (sent if sent in old else old[0]) if old else None, awaited


def replay(samples, settle, sent):
    """How many requests a burst costs with `settle`; `sent` is what was sent for each family."""
    if not samples:
        return 0
    begun, requests, pending, facts = samples[0][0], 0, None, None
    samples = [((at - begun) * 1000, counts, state) for at, counts, state in samples]
    events = [at for at, counts, _ in samples if counts]
    while events or pending:
        if events and (not pending or events[0] <= pending[1]):
            at = events.pop(0)
            first, _, awaits = pending or (at, at, False)
            longest = first + (LONGEST_VERDICT if awaits else LONGEST_SETTLE)
            pending = (first, max(at, min(at + settle, longest)), awaits)
            continue
        first, at, _ = pending
        state = [state for seen, _, state in samples if seen <= at][-1]
        chosen = {family: choose(state[family], sent.get(family)) for family in state}
        pending = None
        if chosen == facts:
            continue
        if any(awaited for _, awaited in chosen.values()) and at < first + LONGEST_VERDICT:
            pending = (first, first + LONGEST_VERDICT, True)
            continue
        facts = chosen
        new = {family: address for family, (address, _) in chosen.items()
               if address and address != sent.get(family)}
        requests += bool(new)
        sent.update(new)
    return requests


# ---------------------------------------------------------------- both ends of the line

class Line:
    """`wan0` here, `wan1` at a provider in a namespace of its own, and what runs on both."""

    def __init__(self, folder):
        self.folder, self.children = folder, {}
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        time.sleep(0.3)
        self.there("ip", "link", "set", "lo", "up")
        lab.run_ip("link", "add", "wan0", "type", "veth", "peer", "name", "wan1",
                   "netns", str(self.holder.pid))
        self.there("ip", "link", "set", "wan1", "up")
        self.there("ip", "addr", "add", f"{GATEWAY}/16", "dev", "wan1")
        self.there("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1",
                   "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.default.dad_transmits=0")
        lab.run_ip("link", "set", "wan0", "up")

    def there(self, *argv):
        """Runs a command at the provider."""
        subprocess.run([*self.inside(), *argv], check=True, capture_output=True)

    def inside(self):
        """What puts a command into the provider's namespace."""
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net"]

    def begin(self, name, *argv):
        """Starts a program, after its last run was killed."""
        self.end(name)
        log = open(self.folder / f"{name}.log", "ab")
        self.children[name] = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log,
                                               stderr=log, start_new_session=True)

    def end(self, name):
        """Kills a program, which says no good-bye on the line."""
        child = self.children.pop(name, None)
        if child:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()

    def close(self):
        """Ends everything."""
        for name in list(self.children):
            self.end(name)
        self.holder.kill()
        self.holder.wait()

    def serve(self, number):
        """A DHCP server that has one address to give."""
        config = self.folder / "udhcpd.conf"
        config.write_text(f"start {ipv4(number)}\nend {ipv4(number)}\ninterface wan1\n"
                          f"max_leases 1\nlease_file {self.folder}/leases\n"
                          f"option subnet 255.255.0.0\noption router {GATEWAY}\noption lease 600\n")
        (self.folder / "leases").write_bytes(b"")
        self.begin("udhcpd", *self.inside(), "busybox", "udhcpd", "-f", "-a", "100", str(config))

    def advertise(self, number, interface="wan1"):
        """A router that has one prefix, and deprecates the few before it."""
        def prefix(number, preferred):
            return (f"prefix {ipv6(number)}/64 {{ AdvValidLifetime 7200; "
                    f"AdvPreferredLifetime {preferred}; DeprecatePrefix off; }};\n")
        config = self.folder / "radvd.conf"
        config.write_text(f"interface {interface} {{ AdvSendAdvert on; MinRtrAdvInterval 30; "
                          "MaxRtrAdvInterval 60;\n" + prefix(number, 3600)
                          + "".join(prefix(old, 0) for old in range(max(number - 3, 1), number))
                          + "};\n")
        self.begin("radvd", *self.inside(), "radvd", "-n", "-C", str(config),
                   # The one that was killed may still hold its own file.
                   "-p", str(self.folder / f"radvd.{number}.pid"), "-m", "stderr")

    def lease(self):
        """A DHCP client that begins anew."""
        self.begin("udhcpc", "busybox", "udhcpc", "-f", "-i", "wan0", "-s",
                   "/etc/udhcpc/default.script")


def ipv4(number):
    """The `number`th public IPv4 address."""
    return f"8.8.{1 + number // 200}.{10 + number % 200}"


def ipv6(number):
    """The `number`th public prefix."""
    return f"2a00:8:{number:x}::"


def has(family, text):
    """Whether a state has the address or prefix `text`, ready for use."""
    packed = socket.inet_pton(family, text).rstrip(b"\0").hex()
    return lambda state: any(address.startswith(packed) and not tentative and not deprecated
                             for address, deprecated, tentative in state[family])


def has4(number):
    """Whether the `number`th IPv4 address is there."""
    return has(socket.AF_INET, ipv4(number))


def has6(number):
    """Whether an address of the `number`th prefix is there."""
    return has(socket.AF_INET6, ipv6(number))


def both(number):
    """Whether both are there."""
    return lambda state: has4(number)(state) and has6(number)(state)


# ---------------------------------------------------------------- what happens

def dhcp_start(line, number):
    """udhcpc begins anew and gets another address."""
    line.serve(number)
    time.sleep(0.2)
    return lambda: line.lease(), has4(number)


def dhcp_renew(line, number):
    """udhcpc asks for its old address, is refused and gets another one."""
    line.serve(number)
    if "udhcpc" not in line.children:
        line.lease()
    time.sleep(0.2)
    return lambda: line.children["udhcpc"].send_signal(signal.SIGUSR1), has4(number)


def dhcp_isc(line, number):
    """ISC's dhclient begins anew and gets another address."""
    line.serve(number)
    line.end("dhclient")
    time.sleep(0.2)
    lab.output("ip", "-4", "addr", "flush", "dev", "wan0")
    leases, pid = line.folder / "dhclient.leases", line.folder / "dhclient.pid"
    leases.unlink(missing_ok=True)
    time.sleep(QUIET)
    return lambda: line.begin("dhclient", "dhclient", "-d", "-1", "-lf", str(leases),
                              "-pf", str(pid), "wan0"), has4(number)


def without_dad(interface):
    """Ends duplicate address detection."""
    for setting in ("accept_dad", "dad_transmits"):
        pathlib.Path(f"/proc/sys/net/ipv6/conf/{interface}/{setting}").write_text("0")


def forget_deprecated():
    """Removes what is left of earlier bursts: an interface holds only so many addresses."""
    lab.output("ip", "-6", "addr", "flush", "dev", "wan0", "deprecated")
    time.sleep(QUIET)


def prefix(line, number):
    """A router announces another prefix and deprecates the last one."""
    forget_deprecated()
    return lambda: line.advertise(number), has6(number)


def prefix_without_dad(line, number):
    """The same, where the kernel does not look for duplicates."""
    without_dad("wan0")
    return prefix(line, number)


def dual(line, number):
    """DHCP and a router at once: a router came back with other addresses of both families."""
    forget_deprecated()
    line.serve(number)
    time.sleep(0.2)

    def begin():
        line.advertise(number)
        line.lease()
    return begin, both(number)


def dual_without_dad(line, number):
    """The same, where the kernel does not look for duplicates."""
    without_dad("wan0")
    return dual(line, number)


def reconnect(line, number, has_ipv6=False):
    """What pppd does when a connection comes back: a new interface, its IPv4 address, its route."""
    def begin():
        lab.output("ip", "link", "delete", "ppp0")
        lab.run_ip("link", "add", "ppp0", "type", "veth", "peer", "name", "ppp1",
                   "netns", str(line.holder.pid))
        # Such an interface has no neighbours, so no duplicates are looked for.
        without_dad("ppp0")
        line.there("ip", "link", "set", "ppp1", "up")
        if has_ipv6:
            line.advertise(number, interface="ppp1")
        lab.run_ip("link", "set", "ppp0", "up")
        lab.run_ip("addr", "add", ipv4(number), "peer", GATEWAY, "dev", "ppp0")
        lab.run_ip("route", "replace", "default", "dev", "ppp0")
    return begin, both(number) if has_ipv6 else has4(number)


def reconnect_dual(line, number):
    """The same, and the provider's router answers when the kernel asks for a prefix."""
    return reconnect(line, number, has_ipv6=True)


def networkd(line, number):
    """systemd-networkd gets another lease and prefix after the carrier was gone for a second."""
    if number == 1:
        for place in ("network", "netif/links", "netif/leases", "netif/lldp"):
            pathlib.Path("/run/systemd", place).mkdir(parents=True)
        subprocess.run(["chown", "-R", "systemd-network:", "/run/systemd/netif"], check=True)
        pathlib.Path("/run/systemd/network/wan.network").write_text(
            "[Match]\nName=wan0\n[Network]\nDHCP=ipv4\nIPv6AcceptRA=yes\n[DHCPv4]\nUseDNS=no\n")
        line.begin("networkd", "/lib/systemd/systemd-networkd")
        time.sleep(1)
    line.serve(number)

    def begin():
        line.there("ip", "link", "set", "wan1", "down")
        time.sleep(1)
        line.there("ip", "link", "set", "wan1", "up")
        line.advertise(number)
    return begin, both(number)


def flap(line, number):
    """The carrier goes and comes back 0.5 to 2 s later, with the same addresses."""
    if number == 1:
        line.advertise(1)
        lab.run_ip("addr", "add", f"{ipv4(1)}/16", "dev", "wan0")
        lab.run_ip("route", "add", "default", "via", GATEWAY)
        time.sleep(3)

    def begin():
        line.there("ip", "link", "set", "wan1", "down")
        time.sleep(random.uniform(0.5, 2))
        line.there("ip", "link", "set", "wan1", "up")
    return begin, both(1)


SCENES = {scene.__name__: scene for scene in (
    dhcp_start, dhcp_renew, dhcp_isc, reconnect, prefix, prefix_without_dad, dual, dual_without_dad,
    reconnect_dual, networkd, flap)}


# ---------------------------------------------------------------- one scene

def daemon(options, folder, server):
    """Starts Homing for one host with addresses of both families from `auto`."""
    password = folder / "password"
    password.touch(0o600)
    password.write_text("secret\n")
    (folder / "config.toml").write_text(f"""
[daemon]
settle = "{options.settle}"
state-dir = "{folder}/state"
[provider.bench]
protocol = "dyndns2"
server = "http://127.0.0.1:{server.server_address[1]}"
pace = "off"
[[host]]
name = "h.bench.example"
provider = "bench"
username = "user"
password-file = "{password}"
""")
    return lab.spawn([options.homing, "--config", f"{folder}/config.toml", "-v"], folder)


def record(scene, options, folder):
    """Plays `scene`; yields the samples and the number of the daemon's requests of each burst."""
    watch, line, server = Watch(), Line(folder), lab.Server()
    pid = daemon(options, folder, server)
    try:
        for number in range(1, options.bursts + 2):
            begin, is_over = scene(line, number)
            time.sleep(0.3)
            server.forget()
            begun = time.monotonic()
            begin()
            samples = watch.burst(begun, is_over)
            requests = sum(1 for request in server.requests if request.hosts)
            del watch.samples[:-1]
            if number == 1:                          # everything is new: no burst of a running line
                continue
            if samples is None:
                print(f"  burst {number} did not end within {PATIENCE} s", file=sys.stderr)
                continue
            yield samples, requests
    finally:
        lab.stop(pid)
        line.close()
        server.close()


def changes(samples):
    """When what could be published changed, in seconds, for each family."""
    found = {socket.AF_INET: [], socket.AF_INET6: []}
    for (_, _, before), (at, _, after) in zip(samples, samples[1:]):
        for family, times in found.items():
            if choose(before[family], None)[0] != choose(after[family], None)[0]:
                times.append(at)
    return found


def apart(samples):
    """The milliseconds between the last changes of the two families; 0 if one did not change."""
    last = [times[-1] for times in changes(samples).values() if times]
    return (max(last) - min(last)) * 1000 if len(last) == 2 else 0


def longest_gap(samples):
    """The longest time without an event, in ms, before the last change that counts."""
    end = max((at for times in changes(samples).values() for at in times), default=0)
    times = [at for at, counts, _ in samples if counts and at <= end]
    return max(((after - before) * 1000 for before, after in zip(times, times[1:])), default=0)


def summary(name, bursts):
    """The figures of one scene."""
    rank = sorted(longest_gap(samples) for samples, _ in bursts)
    replayed = {}
    for settle in CANDIDATES:
        sent = {}
        counts = [replay(samples, settle, sent) for samples, _ in bursts]
        replayed[settle] = sum(count > 1 for count in counts[1:]) / max(len(counts) - 1, 1) * 100
    daemon_twice = sum(requests > 1 for _, requests in bursts) / len(bursts) * 100
    return {"scene": name, "bursts": len(bursts),
            "events": statistics.median(sum(counts for _, counts, _ in samples)
                                        for samples, _ in bursts),
            "gap p50": statistics.median(rank), "gap p99": rank[math.ceil(.99 * len(rank)) - 1],
            "apart": statistics.median(apart(samples) for samples, _ in bursts),
            "replay": replayed, "daemon": daemon_twice,
            "requests": statistics.mean(requests for _, requests in bursts)}


def shown(figures):
    """One line of the table."""
    replayed = "".join(f"{figures['replay'][settle]:6.0f}" for settle in CANDIDATES)
    return (f"{figures['scene']:<19}{figures['bursts']:5}{figures['events']:7.0f}"
            f"{figures['gap p50']:8.0f}{figures['gap p99']:8.0f}{figures['apart']:8.0f}  |"
            f"{replayed}  |{figures['daemon']:6.0f}{figures['requests']:6.2f}")


HEADER = (f"{'':<19}{'n':>5}{'events':>7}{'gap p50':>8}{'p99':>8}{'apart':>8}  |"
          + "".join(f"{settle:6}" for settle in CANDIDATES) + f"  |{'daemon':>6}{'each':>6}")


# ---------------------------------------------------------------- the command

def private():
    """Moves this process into namespaces of its own: clients change the network, /etc and /run."""
    clone_newns, clone_newnet = 0x20000, 0x40000000
    if ctypes.CDLL(None, use_errno=True).unshare(clone_newns | clone_newnet):
        raise OSError(f"unshare: {os.strerror(ctypes.get_errno())}")
    for argv in (["mount", "--make-rprivate", "/"], ["mount", "-t", "tmpfs", "none", "/run"],
                 # networkd takes a device for ready where it can be written by nobody.
                 ["mount", "-t", "sysfs", "-o", "ro", "none", "/sys"],
                 ["mkdir", "/run/upper", "/run/work"],
                 ["mount", "-t", "overlay", "none", "/etc",
                  "-o", "lowerdir=/etc,upperdir=/run/upper,workdir=/run/work"]):
        subprocess.run(argv, check=True)
    lab.run_ip("link", "set", "lo", "up")
    for setting, value in (("accept_ra", "2"), ("disable_ipv6", "0")):
        pathlib.Path(f"/proc/sys/net/ipv6/conf/default/{setting}").write_text(value)


def interrupted(number, _):
    """Turns a signal into an exception, so that everything is ended."""
    raise TimeoutError if number == signal.SIGALRM else SystemExit(128 + number)


def main():
    """Plays the scenes and prints a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    here = pathlib.Path(__file__).resolve()
    parser.add_argument("--homing", type=pathlib.Path, metavar="FILE",
                        default=here.parents[2] / "target/release/homing",
                        help="release binary (default: %(default)s)")
    parser.add_argument("--only", default=",".join(SCENES), metavar="SCENES",
                        help="scenes by commas (default: %(default)s)")
    parser.add_argument("--bursts", type=int, default=100, metavar="N",
                        help="how often each scene is played (default: %(default)s)")
    parser.add_argument("--settle", default="100ms", help="of the daemon (default: %(default)s)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE",
                        help="also add the figures of each scene there, a line each")
    options = parser.parse_args()
    options.homing = options.homing.resolve()
    scenes = options.only.split(",")
    unknown = [name for name in scenes if name not in SCENES]
    if unknown:
        parser.error(f"no scene called {', '.join(unknown)}; there are {', '.join(SCENES)}")
    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, interrupted)
    print(HEADER, flush=True)
    for name in scenes:
        child = os.fork()                            # each scene in namespaces of its own
        if child == 0:
            with tempfile.TemporaryDirectory(prefix="homing-settle.") as folder:
                private()
                bursts = list(record(SCENES[name], options, pathlib.Path(folder)))
            figures = summary(name, bursts)
            print(shown(figures), flush=True)
            if options.json:
                with options.json.open("a") as file:
                    file.write(json.dumps(figures) + "\n")
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
