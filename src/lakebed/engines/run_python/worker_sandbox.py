"""The sandbox of a worker, from inside: what a function's process can no longer see, reach or use.

A file of the worker's process; it imports nothing of Lakebed. Each step only where the kernel allows it to us:

- a mount namespace with a root of its own, on which only what a program needs is bound (the system's libraries, the
  interpreter, ``/etc``): no home, no data directory, no other function's package. ``/var/task`` is the package, ``/opt``
  the layers, both read-only; ``/tmp`` a file system in memory of the size the function was given.
- a process namespace: nobody else can be seen or signalled, and what a function leaves running ends with its worker.
- System V IPC of its own, and with ``network = "lakebed"`` a network of its own, whose only way out is Lakebed's port.
- a user of its own where Lakebed is root, no capabilities, no new privileges, limits of processes and files.

docs/deviations/lambda.md says what this is and what it is not.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

# pathlib would make every cold start slower.
# ruff: noqa: PTH102, PTH103, PTH110, PTH112, PTH113, PTH114, PTH115, PTH116, PTH120, PTH211, SIM105, PTH208

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from typing import Any, NoReturn

_MS_READ_ONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT = 1, 2, 4, 8, 32
_MS_BIND, _MS_REC, _MS_PRIVATE, _MS_RELATIME = 4096, 16384, 1 << 18, 1 << 21
_MNT_DETACH = 2
_CLONE_NEWNS, _CLONE_NEWIPC, _CLONE_NEWUSER = 0x00020000, 0x08000000, 0x10000000
_CLONE_NEWPID, _CLONE_NEWNET = 0x20000000, 0x40000000
_NOBODY = 65534
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_CAPABILITY_VERSION_3 = 0x20080522
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/nix", "/gnu")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_PROCESSES_MAX = 1024  # Lambda's quota of processes and threads
_NICE = 5  # the server answers before functions compute
TASK, LAYERS, TEMPORARY = "/var/task", "/opt", "/tmp"  # noqa: S108 - the function's own


class Sandbox:
    """What was closed, and where the function's folders are seen now."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self.setup = setup
        self.code, self.layers, self.temporary = setup["code"], setup["layers"], setup["tmp"]
        self.told: dict[str, Any] = {
            "hidden": "not on this platform", "nobody": False, "bare": False, "network": "host", "depth": 0,
        }  # fmt: skip

    def place(self) -> None:
        """The environment's templates, filled with the folders as the function sees them."""
        folders = {"{code}": self.code, "{layers}": self.layers, "{tmp}": self.temporary}
        for name, text in self.setup["placed"].items():
            for mark, folder in folders.items():
                text = text.replace(mark, folder)
            self.setup["environment"][name] = text


class _System:
    """System calls that Python has no name for."""

    def __init__(self) -> None:
        self.libc = ctypes.CDLL(None, use_errno=True)

    def must(self, code: int, what: str) -> None:
        if code != 0:
            raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")

    def mount(self, source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
        code = self.libc.mount(
            source.encode(), target.encode(), kind.encode() if kind else None, ctypes.c_ulong(flags),
            data.encode() if data else None,
        )  # fmt: skip
        self.must(code, f"mount {target}")

    def prctl(self, option: int, value: int) -> None:
        self.libc.prctl(option, value, 0, 0, 0)


def enter(setup: dict[str, Any], frame_fd: int, fence_fd: int) -> Sandbox:
    """Close the doors; what came of it is told to Lakebed. Returns in the process that runs the function."""
    sandbox = Sandbox(setup)
    if sys.platform == "linux":
        system = _System()
        system.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1 and setup["parent"] != 1:
            os._exit(0)
        if not setup["hide"]:
            sandbox.told["hidden"] = "switched off"
        else:
            _separate(system, sandbox, frame_fd, fence_fd)
            sandbox.told["nobody"] = _leave_root(system, sandbox)
            sandbox.told["bare"] = _drop_capabilities(system, sandbox)
        system.prctl(_PR_SET_NO_NEW_PRIVS, 1)
        system.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # again: changing the user cleared it
    os.close(fence_fd)
    _limit(sandbox)
    sandbox.place()
    return sandbox


def _separate(system: _System, sandbox: Sandbox, frame_fd: int, fence_fd: int) -> None:
    """Namespaces, and a root file system of our own."""
    setup = sandbox.setup
    fenced = setup["fence_port"] if setup["network"] == "lakebed" else 0
    try:
        _unshare(system, _CLONE_NEWNET if fenced else 0)
    except OSError as failure:
        sandbox.told["hidden"] = str(failure)
        return
    if fenced:
        _fence(fenced, fence_fd)
        sandbox.told["network"] = "lakebed"
    _into_process_namespace(system, (frame_fd, fence_fd))
    try:
        system.mount("none", "/", None, _MS_REC | _MS_PRIVATE)
        _own_root(system, sandbox)
        sandbox.told["hidden"] = ""
    except OSError as failure:
        sandbox.told["hidden"] = str(failure)
    sandbox.told["depth"] = 2
    child = os.fork()
    if child:
        _stand_by(system, (frame_fd, fence_fd), child, init=True)


def _unshare(system: _System, extra: int) -> None:
    uid, gid = os.geteuid(), os.getegid()
    user = 0 if uid == 0 else _CLONE_NEWUSER
    system.must(system.libc.unshare(_CLONE_NEWNS | _CLONE_NEWPID | _CLONE_NEWIPC | user | extra), "unshare")
    if user:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)


def _fence(port: int, fence_fd: int) -> None:
    """Loopback alone, and on it one listener: Lakebed accepts its connections and hands them to its own door."""
    import fcntl
    import socket
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        asked = struct.pack("16sh14x", b"lo", 0)
        _, flags = struct.unpack("16sh14x", fcntl.ioctl(control, _SIOCGIFFLAGS, asked))
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))
    with socket.socket() as listener, socket.socket(fileno=os.dup(fence_fd)) as channel:
        listener.bind(("127.0.0.1", port))
        listener.listen(64)
        socket.send_fds(channel, [b"fence"], [listener.fileno()])


def _own_root(system: _System, sandbox: Sandbox) -> None:
    """A root in memory with what a program needs; the old one is let go of."""
    setup, root = sandbox.setup, sandbox.setup["root"]
    os.makedirs(root, exist_ok=True)
    system.mount("tmpfs", root, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=1m,mode=755")
    shown = _shown(setup)
    shares_layers = any(path.startswith(LAYERS + "/") for path in shown)
    _own_folders(system, sandbox, root, shares_layers)
    for path in shown:  # on top: an interpreter may lie below /opt or /tmp
        _show(system, root, path)
    if os.path.isdir(root + setup["hide"]) and not any(path.startswith(setup["hide"] + "/") for path in shown):
        system.mount("tmpfs", root + setup["hide"], "tmpfs", _MS_NOSUID | _MS_NODEV, "size=4k,mode=755")
    _devices(system, root)
    _one_user(system, root, setup["uid"] or os.geteuid())
    os.mkdir(f"{root}/proc")
    try:
        system.mount("proc", f"{root}/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    except OSError:
        system.mount("/proc", f"{root}/proc", None, _MS_BIND | _MS_REC)  # where refused, /proc shows the host's pids
    os.chdir(root)
    system.must(system.libc.pivot_root(b".", b"."), "pivot_root")
    system.must(system.libc.umount2(b".", _MNT_DETACH), "umount")
    os.chdir("/")
    if os.path.ismount(LAYERS):
        _read_only(system, LAYERS, remount=0 if shares_layers else _MS_BIND)
    _read_only(system, "/", remount=0)


def _shown(setup: dict[str, Any]) -> list[str]:
    """Top-level folders of the system, then what lies elsewhere: interpreters, the resolver's file, an operator's wishes."""
    shown = [path for path in _SYSTEM if os.path.lexists(path)]
    resolver = os.path.realpath("/etc/resolv.conf")
    for path in (*setup["visible"], resolver):
        whole = os.path.realpath(path)
        for one in (path, whole):
            covered = any(one == known or one.startswith(known + "/") for known in shown)
            if not covered and one != "/" and os.path.exists(one):
                shown.append(one)
    return shown


def _show(system: _System, root: str, path: str) -> None:
    target = root + path
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.islink(path):
        if not os.path.lexists(target):
            os.symlink(os.readlink(path), target)
    elif os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
        system.mount(path, target, None, _MS_BIND | _MS_REC)
    else:
        _touch(target)
        system.mount(path, target, None, _MS_BIND)


def _touch(path: str) -> None:
    if not os.path.exists(path):
        with open(path, "w"):
            pass


def _devices(system: _System, root: str) -> None:
    os.mkdir(f"{root}/dev")
    for name in _DEVICES:
        if os.path.exists(f"/dev/{name}"):
            _touch(f"{root}/dev/{name}")
            system.mount(f"/dev/{name}", f"{root}/dev/{name}", None, _MS_BIND)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{target}", f"{root}/dev/{name}")


def _own_folders(system: _System, sandbox: Sandbox, root: str, shares_layers: bool) -> None:
    """``shares_layers``: something of this machine is to be seen below /opt as well, so that it can be no plain mount."""
    setup = sandbox.setup
    for path in (TASK, "/var/runtime", LAYERS, TEMPORARY):
        os.makedirs(root + path, exist_ok=True)
    if not os.path.lexists(f"{root}/var/tmp"):  # noqa: S108 - a link in our own root
        os.symlink(TEMPORARY, f"{root}/var/tmp")  # noqa: S108
    if setup["layers"] and shares_layers:
        system.mount("tmpfs", root + LAYERS, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=1m,mode=755")
        for name in os.listdir(setup["layers"]):
            _bind(system, f"{setup['layers']}/{name}", f"{root}{LAYERS}/{name}")
    elif setup["layers"]:
        _bind(system, setup["layers"], root + LAYERS)
    for source, target in ((setup["code"], TASK), (setup["runtime_dir"], "/var/runtime")):
        if source:
            _bind(system, source, root + target)
    if setup["tmp_bytes"]:
        system.mount(
            "tmpfs", root + TEMPORARY, "tmpfs", _MS_NOSUID | _MS_NODEV,
            f"size={setup['tmp_bytes']},nr_inodes=1000000,mode=700",
        )  # fmt: skip
    else:
        system.mount(setup["tmp"], root + TEMPORARY, None, _MS_BIND)
    sandbox.code, sandbox.layers, sandbox.temporary = TASK, LAYERS, TEMPORARY


def _bind(system: _System, source: str, target: str) -> None:
    """A file or folder, read-only."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        _touch(target)
    system.mount(source, target, None, _MS_BIND)
    _read_only(system, target)


def _read_only(system: _System, path: str, remount: int = _MS_BIND) -> None:
    """Flags that the mount has already may not be taken off in a user namespace: they are kept."""
    found = os.statvfs(path).f_flag
    kept = found & (_MS_NOSUID | _MS_NODEV | _MS_NOEXEC | 1024 | 2048) | (_MS_RELATIME if found & 4096 else 0)
    try:
        system.mount("none", path, None, remount | _MS_REMOUNT | _MS_READ_ONLY | kept)
    except OSError:
        pass  # the user that owns nothing there can not write in any case


def _one_user(system: _System, root: str, uid: int) -> None:
    """/etc/passwd names the function's user as Lambda's does, and nobody of this machine."""
    if not os.path.isfile(f"{root}/etc/passwd") or os.path.islink(f"{root}/etc/passwd"):
        return
    drafted = f"{root}/.passwd"
    with open(drafted, "w") as file:
        file.write("root:x:0:0:root:/root:/sbin/nologin\n" if uid else "")
        file.write(f"sbx_user1051:x:{uid}:{uid}::/tmp:/sbin/nologin\nnobody:x:65534:65534::/:/sbin/nologin\n")
    system.mount(drafted, f"{root}/etc/passwd", None, _MS_BIND)


def _into_process_namespace(system: _System, held: tuple[int, ...]) -> None:
    """Go on as a child in the new namespace (its init) while the first process stands by outside."""
    child = os.fork()
    if child:
        _stand_by(system, held, child, init=False)


def _stand_by(system: _System, held: tuple[int, ...], child: int, *, init: bool) -> NoReturn:
    """Wait for the function's process and end as it ended; hold nothing that would keep its pipes open."""
    for fd in held:
        os.close(fd)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (1, 2):
        os.dup2(null, fd)
    system.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    system.prctl(_PR_SET_DUMPABLE, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ended, status = os.wait()
    while ended != child:
        ended, status = os.wait()
    code = os.waitstatus_to_exitcode(status)
    if init:
        os._exit(code if code >= 0 else 128 - code)  # an init can not kill itself
    if code > 128:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), code - 128)
    os._exit(code if code >= 0 else 1)


def _needed(sandbox: Sandbox) -> list[str]:
    """What the function's user must reach."""
    code = [] if sandbox.code.startswith("/proc/self/fd/") else [sandbox.code]
    return [sys.prefix, os.path.dirname(os.__file__), *sandbox.setup["programs"], *code]


def _reachable(path: str, uid: int) -> bool:
    """Whether ``uid``, without any privilege, reaches ``path``."""
    try:
        while True:
            found = os.stat(path)
            if not found.st_mode & (0o100 if found.st_uid == uid else 0o001):
                return False
            if path == "/":
                return True
            path = os.path.dirname(path)
    except OSError:
        return False


def _leave_root(system: _System, sandbox: Sandbox) -> bool:
    """A user of the worker's own, where it can reach the interpreter; file permissions then guard everybody else's."""
    setup = sandbox.setup
    if os.geteuid() != 0:
        return False
    for uid in (setup["uid"], _NOBODY):
        if not all(_reachable(path, uid) for path in [sys.prefix, os.path.dirname(os.__file__), *setup["programs"]]):
            return False
        try:
            os.chown(sandbox.temporary, uid, uid)
            _keep_reachable(sandbox, uid)
            _shrink_bounds(system)
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
        except OSError:
            continue  # a user namespace around us that knows no such id
        system.prctl(_PR_SET_DUMPABLE, 1)  # else /proc/self stays root's
        return True
    return False


def _keep_reachable(sandbox: Sandbox, uid: int) -> None:
    """Folders below ones that the user may not enter are named by an open descriptor from now on."""
    for name in ("code", "layers", "temporary"):
        path = getattr(sandbox, name)
        if path and not path.startswith("/proc/self/fd/") and not _reachable(path, uid):
            descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY)
            os.set_inheritable(descriptor, True)
            setattr(sandbox, name, f"/proc/self/fd/{descriptor}")


def _drop_capabilities(system: _System, sandbox: Sandbox) -> bool:
    """Without capabilities even root can not mount, nor look into the server's process."""
    if not all(_reachable(path, os.geteuid()) for path in _needed(sandbox)):
        return False
    _shrink_bounds(system)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    return bool(system.libc.capset(header, (ctypes.c_uint32 * 6)()) == 0)


def _shrink_bounds(system: _System) -> None:
    """No program started from here on gets a capability either."""
    for capability in range(64):
        system.prctl(_PR_CAPBSET_DROP, capability)


def _limit(sandbox: Sandbox) -> None:
    setup, told = sandbox.setup, sandbox.told
    limits = [
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, setup["file_bytes"]),
        (resource.RLIMIT_NOFILE, 1024),
    ]
    if setup["address_bytes"]:
        limits.append((resource.RLIMIT_AS, setup["address_bytes"]))
    if told["nobody"] or told["depth"]:  # else the number would count the server's user's other processes
        limits.append((resource.RLIMIT_NPROC, _PROCESSES_MAX))
    for name, value in limits:
        _, hard = resource.getrlimit(name)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(name, (value, value))
        except (OSError, ValueError):
            pass
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a too large file is an OSError, not a death
    try:
        os.nice(_NICE)
    except OSError:
        pass
