"""The laboratory: child processes, a network of our own, a provider to ask, and /proc.

Knows nothing of the programs under test and prints nothing. Used by bench.py and programs.py.
"""
import contextlib
import ctypes
import http.server
import os
import pathlib
import re
import shutil
import signal
import socket
import socketserver
import ssl
import struct
import subprocess
import threading
import time
import urllib.parse

DEVICE = "wan0"                  # the interface whose address the programs watch
NETWORK = "203.0.113."           # documentation addresses (RFC 5737)
FIRST_ADDRESS = NETWORK + "10"
CLEAN_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
RUNNING = set()                  # process ids of our children, each the leader of its own group


# ---------------------------------------------------------------- children

def spawn(argv, folder):
    """Starts `argv` in a process group of its own, its output going to `folder`/log."""
    environment = {"PATH": CLEAN_PATH, "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C"}
    log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    files = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
             (os.POSIX_SPAWN_OPEN, 1, f"{folder}/log", log, 0o600),
             (os.POSIX_SPAWN_DUP2, 1, 2)]
    pid = os.posix_spawn(argv[0], [str(word) for word in argv], environment, file_actions=files,
                         setpgroup=0, setsigdef=[signal.SIGPIPE])
    RUNNING.add(pid)
    return pid


def wait(pid, limit=300):
    """Exit status and resource usage of `pid` (with the children it waited for), once it ends."""
    signal.setitimer(signal.ITIMER_REAL, limit)      # bench.py turns SIGALRM into TimeoutError
    try:
        _, status, usage = os.wait4(pid, 0)
    except TimeoutError:
        os.killpg(pid, signal.SIGKILL)
        _, status, usage = os.wait4(pid, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    RUNNING.discard(pid)
    return os.waitstatus_to_exitcode(status), usage


def stop(pid):
    """Ends a daemon and its children, asking first."""
    for ending in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, ending)
        if pid in RUNNING:
            wait(pid, 5)


def stop_all():
    """Kills whatever was started and has not been waited for."""
    for pid in list(RUNNING):
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def output(*argv):
    """What a helper prints; an empty text if it is not there."""
    try:
        return subprocess.run(argv, capture_output=True, text=True, errors="replace").stdout
    except OSError:
        return ""


# ---------------------------------------------------------------- the network

def run_ip(*words):
    """Runs ip(8); raises with its own words when it fails."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def enter_namespace():
    """Moves this process into a fresh network namespace, which the kernel removes at its end."""
    clone_newnet = 0x40000000
    libc = ctypes.CDLL(None, use_errno=True)
    if not shutil.which("ip"):
        raise OSError("ip: not installed (apt-get install iproute2)")
    if libc.unshare(clone_newnet):
        raise OSError(f"unshare: {os.strerror(ctypes.get_errno())}")
    run_ip("link", "set", "lo", "up")
    # Without IPv6 on the pair no duplicate address detection adds events of its own.
    with contextlib.suppress(OSError):
        pathlib.Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
    run_ip("link", "add", DEVICE, "type", "veth", "peer", "name", "wan1")
    run_ip("link", "set", "wan1", "up")
    run_ip("link", "set", DEVICE, "up")


class Link:
    """The address of `DEVICE`, changed over rtnetlink so that the instant is known."""

    NEW, DELETE = 20, 21                             # RTM_NEWADDR, RTM_DELADDR
    ASKED, CREATED = 0x1 | 0x4, 0x400 | 0x200        # REQUEST with ACK, CREATE with EXCL

    def __init__(self):
        self.index = socket.if_nametoindex(DEVICE)
        self.netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self.number, self.address = 10, FIRST_ADDRESS
        self.request(self.NEW, self.CREATED)

    def request(self, kind, flags):
        """Sends one message about the present address and raises the kernel's error, if any."""
        raw = socket.inet_aton(self.address)
        local, own = struct.pack("HH", 8, 2) + raw, struct.pack("HH", 8, 1) + raw
        body = struct.pack("BBBBI", socket.AF_INET, 24, 0, 0, self.index) + local + own
        head = struct.pack("IHHII", 16 + len(body), kind, self.ASKED | flags, 1, 0)
        self.netlink.send(head + body)
        error = -struct.unpack_from("i", self.netlink.recv(4096), 16)[0]
        if error:
            raise OSError(error, f"changing {self.address}: {os.strerror(error)}")

    def move(self):
        """Drops the address and adds the next one; returns the time (ns) just before the latter."""
        self.request(self.DELETE, 0)
        self.number = self.number % 250 + 1
        self.address = f"{NETWORK}{self.number}"
        before = time.monotonic_ns()
        self.request(self.NEW, self.CREATED)
        return before


# ---------------------------------------------------------------- the provider

class Certificates:
    """A throw-away CA and a server certificate for 127.0.0.1, made by openssl(1)."""

    CONFIG = """
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1
"""

    def __init__(self, folder):
        folder.mkdir()
        (folder / "config").write_text(self.CONFIG)
        for name, signer in (("ca", []), ("server", ["-CA", "ca.pem", "-CAkey", "ca.key"])):
            subprocess.run(
                ["openssl", "req", "-x509", "-config", "config", "-extensions", name,
                 "-subj", f"/CN=bench {name}", "-days", "2", "-nodes", "-newkey", "ec",
                 "-pkeyopt", "ec_paramgen_curve:P-256", *signer,
                 "-keyout", f"{name}.key", "-out", f"{name}.pem"],
                cwd=folder, check=True, capture_output=True)
        self.ca, self.bundle = folder / "ca.pem", folder / "bundle.pem"
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "server.pem", folder / "server.key")
        # The peers load the roots of the system, as they do on a real machine, and this one.
        system = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
        self.bundle.write_text((system.read_text() if system.exists() else "")
                               + self.ca.read_text())


class Request:
    """One request: the time (monotonic, ns) of its arrival, the hosts and the address in it."""

    def __init__(self, arrival, target):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(target).query))
        self.arrival = arrival
        self.hosts = [host for host in query.get("hostname", "").split(",") if host]
        self.address = query.get("myip", FIRST_ADDRESS)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one connection; the delays pretend round trips."""

    protocol_version = "HTTP/1.1"
    timeout = 120
    disable_nagle_algorithm = True

    def setup(self):
        """Waits for one round trip of TCP and, if wanted, one of TLS."""
        time.sleep(self.server.delay)
        if self.server.context:
            time.sleep(self.server.delay)
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def parse_request(self):
        """Notes the time before anything is parsed."""
        self.arrival = time.monotonic_ns()
        return super().parse_request()

    def do_GET(self):
        """Says `good` for each host of an update, or the address when no host is named."""
        request = Request(self.arrival, self.path)
        lines = [f"good {request.address}" for _ in request.hosts] or [FIRST_ADDRESS]
        body = "\r\n".join(lines) + "\r\n"
        time.sleep(self.server.delay)
        self.server.note(request)
        self.wfile.write((f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                          f"Content-Length: {len(body)}\r\n"
                          f"Connection: {'close' if self.close_connection else 'keep-alive'}\r\n"
                          f"\r\n{body}").encode())


class Server(socketserver.ThreadingTCPServer):
    """A dyndns2 provider (/nic/update) and address echo (/ip) that remembers what was asked."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, context=None, delay=0.0):
        super().__init__(("127.0.0.1", 0), Handler)
        self.context, self.delay = context, delay
        self.requests, self.connections = [], 0
        self.changed = threading.Condition()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        """Says nothing: a client that hangs up is seen in the counts."""

    def verify_request(self, request, client_address):
        """Counts the connection."""
        self.connections += 1
        return True

    def note(self, request):
        """Remembers a request and wakes who waits for it."""
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()

    def forget(self):
        """Begins to count anew."""
        with self.changed:
            self.requests, self.connections = [], 0

    def updated(self):
        """The hosts that were updated since `forget`."""
        return {host for request in list(self.requests) for host in request.hosts}

    def first(self, wanted, limit):
        """The first request for which `wanted` holds, or None if none comes in `limit` seconds."""
        def found():
            return next(filter(wanted, self.requests), None)
        with self.changed:
            self.changed.wait_for(found, limit)
            return found()

    def close(self):
        """Ends the server."""
        self.shutdown()
        self.server_close()


# ---------------------------------------------------------------- /proc

def group(leader):
    """The process ids in the process group of `leader`."""
    found = []
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            if os.getpgid(int(entry)) == leader:
                found.append(int(entry))
    return found


def numbers(path):
    """The first number of each `Name: 12 kB` line of a file under /proc."""
    with contextlib.suppress(OSError):
        text = pathlib.Path(path).read_text()
        return {name: int(value) for name, value in re.findall(r"^(\w+):\s+(\d+)", text, re.M)}
    return {}


def memory(leader):
    """MiB (rss, pss, private, own, peak) and threads of a daemon and its children."""
    total = dict.fromkeys(("rss", "pss", "private", "own", "peak", "threads"), 0)
    for pid in group(leader):
        status, rollup = numbers(f"/proc/{pid}/status"), numbers(f"/proc/{pid}/smaps_rollup")
        total["rss"] += rollup.get("Rss", 0) / 1024
        total["pss"] += rollup.get("Pss", 0) / 1024
        total["private"] += (rollup.get("Private_Clean", 0) + rollup.get("Private_Dirty", 0)) / 1024
        total["own"] += rollup.get("Anonymous", 0) / 1024
        total["peak"] += status.get("VmHWM", 0) / 1024
        total["threads"] += status.get("Threads", 0)
    return total


def wake_ups(leader):
    """Voluntary context switches so far, of all threads of a daemon and its children."""
    return sum(numbers(f"/proc/{pid}/task/{thread}/status").get("voluntary_ctxt_switches", 0)
               for pid in group(leader) for thread in os.listdir(f"/proc/{pid}/task"))
