"""The programs under test: how each is configured and started. A new peer is one class here.

Knows nothing of what is measured. What a program writes goes to `folder`/state. Used by bench.py.
"""
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal

from lab import CLEAN_PATH, DEVICE, Certificates, output, spawn, wait

SETTLE = "100ms"                 # Homing's default, written into its configuration all the same


@dataclasses.dataclass
class Setup:
    """What a program is asked to do: for how many hosts, from which source, over what."""
    hosts: int = 1
    source: str = "web"          # or "interface"
    certificates: Certificates | None = None         # None: plain HTTP
    apart: bool = False          # ask for each host alone (Homing can do both)
    delay: float = 0.0           # the pretended round trip, in seconds

    def names(self):
        """The configured host names."""
        return [f"h{number:04}.bench.example" for number in range(self.hosts)]


class Program:
    """A program under test; `path` is None when it is not installed."""

    name = package = ""

    def __init__(self):
        self.path = shutil.which(self.name, path=CLEAN_PATH)

    def absent(self):
        """Why there is no figure for it."""
        return f"{self.name}: not installed (apt-get install {self.package})"

    def kick(self, pid, folder):
        """What a hook does after a change of address; nothing for a program that watches."""


class Homing(Program):
    """The program of this repository."""

    name = "homing"

    def __init__(self, path):
        self.path = path if path.is_file() else None
        self.place = path

    def absent(self):
        """Why there is no figure for it."""
        return f"homing: no program at {self.place} (cargo build --release)"

    def version(self):
        """Its own version, in its own words."""
        return " ".join(output(self.path, "--version").split()).removeprefix("homing ")

    def daemon(self, folder):
        """The command line of the daemon, in the foreground."""
        return [self.path, "--config", f"{folder}/config.toml",
                "--state-dir", f"{folder}/state", "-q"]

    def once(self, folder):
        """The command line of a single run."""
        return [*self.daemon(folder), "--once"]

    def configure(self, folder, setup, port):
        """Writes the configuration."""
        tls = setup.certificates
        url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        ca = f'ca-file = "{tls.ca}"' if tls else ""
        source = f'interface = "{DEVICE}"'
        if setup.source == "web":
            source = f'web = ["{url}/ip"]\n{ca}'
        password = folder / "password"
        password.touch(0o600)
        password.write_text("secret\n")
        (folder / "config.toml").write_text(f"""
[daemon]
settle = "{SETTLE}"

[source.here]
{source}
allow-private = true

[provider.bench]
protocol = "dyndns2"
server = "{url}"
{"batch = 1" if setup.apart else ""}
{ca}

[[host]]
name = {json.dumps(setup.names())}
provider = "bench"
username = "user"
password-file = "{password}"
ipv4 = "here"
ipv6 = "off"
""")


class Inadyn(Program):
    """inadyn 2; it takes at most 50 hosts in one section and wakes every second."""

    name, package = "inadyn", "inadyn"

    def version(self):
        """Its own version, in its own words."""
        return output(self.path, "-v").strip()

    def daemon(self, folder):
        """The command line of the daemon, in the foreground."""
        return [self.path, "--foreground", "--no-pidfile", "--loglevel", "notice",
                "--config", f"{folder}/inadyn.conf", "--cache-dir", f"{folder}/state"]

    def once(self, folder):
        """The command line of a single run."""
        return [*self.daemon(folder), "--once"]

    def configure(self, folder, setup, port):
        """Writes the configuration."""
        tls, names = setup.certificates, setup.names()
        server = f"127.0.0.1:{port}"
        secure = "true" if tls else "false"
        source = f"iface = {DEVICE}"
        text = ""
        if setup.source == "web":
            source = (f'checkip-server = "{server}"\n    checkip-path = "/ip"\n'
                      f"    checkip-ssl = {secure}")
            text = "verify-address = false\n"
        if tls:
            text += f'ca-trust-file = "{tls.bundle}"\n'
        for start in range(0, len(names), 50):
            hosts = ", ".join(f'"{name}"' for name in names[start:start + 50])
            text += f"""
custom bench:{start} {{
    ssl = {secure}
    username = user
    password = secret
    hostname = {{ {hosts} }}
    ddns-server = "{server}"
    ddns-path = "/nic/update?hostname=%h&myip=%i"
    {source}
}}
"""
        (folder / "inadyn.conf").write_text(text)


    def kick(self, pid, folder):
        """Lets the daemon look at the address now."""
        os.kill(pid, signal.SIGUSR2)


class Ddclient(Program):
    """ddclient 3.10 or later; it puts all hosts in one request and starts ip(8) to look."""

    name, package = "ddclient", "ddclient libio-socket-ssl-perl"

    def version(self):
        """Its own version, in its own words."""
        found = re.search(r"ddclient version (\S+?),?\s", output(self.path, "-help"))
        return found.group(1) if found else "unknown"

    def once(self, folder):
        """The command line of a single run."""
        # No -daemon=0: newer versions raise that to a minute. Without the option it runs once.
        return [self.path, "-file", f"{folder}/ddclient.conf",
                "-cache", f"{folder}/state/cache", "-quiet"]

    def daemon(self, folder):
        """The command line of the daemon, in the foreground, at its default interval."""
        return [*self.once(folder), "-foreground", "-daemon=300"]

    def kick(self, pid, folder):
        """Runs it once more, as its hooks of dhclient and pppd do."""
        wait(spawn(self.once(folder), folder))

    def configure(self, folder, setup, port):
        """Writes the configuration."""
        tls = setup.certificates
        # Not `usev4`: with it the dyndns2 of 3.10 keeps "noconnect" for the family whatever the
        # answer was, and then repeats the update in every other run although nothing changed.
        source = f"use=if, if={DEVICE}"
        if setup.source == "web":
            source = f"use=web, web={'https' if tls else 'http'}://127.0.0.1:{port}/ip"
        config = folder / "ddclient.conf"
        config.touch(0o600)
        config.write_text("\n".join([
            "syslog=no", f"pid={folder}/pid", f"ssl={'yes' if tls else 'no'}",
            *([f"ssl_ca_file={tls.bundle}"] if tls else []), source, "protocol=dyndns2",
            f"server=127.0.0.1:{port}", "login=user", "password=secret", "min-interval=0",
            ",\\\n".join(setup.names())]) + "\n")


class Floor(Program):
    """floor.c, compiled: the least that a reacting daemon can do."""

    name, package = "floor", "gcc libc6-dev"

    def __init__(self, folder):
        binary, compiler = folder / "floor", shutil.which("cc")
        if compiler:
            source = pathlib.Path(__file__).resolve().parent / "floor.c"
            output(compiler, "-O2", "-o", binary, source)
        self.path = binary if binary.exists() else None

    def absent(self):
        """Why there is no figure for it."""
        return f"floor.c: cc: not installed (apt-get install {self.package})"

    def daemon(self, folder):
        """The command line of the daemon."""
        return [self.path, (folder / "port").read_text()]

    def configure(self, folder, setup, port):
        """Keeps the port, the only thing to configure."""
        (folder / "port").write_text(str(port))
