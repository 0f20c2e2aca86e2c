"""The process that `turnout.embedded` starts to run PostgreSQL for as long as it has users.

It is run as a script, isolated and without site-packages, and stays small: import the standard
library only.
"""

import asyncio
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

READY: Final = b"ready\n"

SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_directories": "..",  # relative to the data: the address of a socket must be short
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "jit": "off",
    "log_checkpoints": "off",
}
CARELESS: Final = {"fsync": "off", "full_page_writes": "off"}

# From Linux's prctl.h, securebits.h and capability.h.
PR_SET_PDEATHSIG: Final = 1
PR_SET_SECUREBITS: Final = 28
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_RAISE: Final = 2
SECBIT_NO_SETUID_FIXUP: Final = 1 << 2
CAPABILITY_VERSION_3: Final = 0x20080522
CAP_DAC_OVERRIDE: Final = 1
CAP_DAC_READ_SEARCH: Final = 2


def main(home: Path, binaries: Path, listener: int, lock: int, *, durable: bool) -> None:
    if os.fork():
        os._exit(0)  # the one who started us has nobody to wait for
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the database goes after its users, not with them
    if os.geteuid() == 0:
        become_owner(home, binaries)
    if not (home / "data").exists():
        initialise(home, binaries, lock, durable=durable)
    asyncio.run(serve(home / "data", binaries, listener, lock, durable=durable))


def become_owner(home: Path, binaries: Path) -> None:
    """Give up root, as which PostgreSQL does not run, for the owner of the directory.

    Below a directory that only root may enter, such as /root, keep the one capability that it takes
    to enter it. A capability survives `execve` only when it is ambient, and `access` heeds it only
    when changing the user is told not to clear it: see capabilities(7).
    """
    owner = home.stat()
    os.setgroups([])
    os.setgid(owner.st_gid)
    os.seteuid(owner.st_uid)
    enters = all(os.access(path, os.X_OK, effective_ids=True) for path in (home, binaries))
    os.seteuid(0)
    if enters or sys.platform != "linux":
        os.setuid(owner.st_uid)
        return
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    os.setuid(owner.st_uid)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    effective_permitted_inheritable = (ctypes.c_uint32 * 6)()
    libc.capget(header, effective_permitted_inheritable)
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):  # containers often lack the first
        if (bit := 1 << capability) & effective_permitted_inheritable[1]:
            libc.capset(header, (ctypes.c_uint32 * 6)(bit, bit, bit))
            libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)
            return


def initialise(home: Path, binaries: Path, lock: int, *, durable: bool) -> None:
    """Make the data directory under another name, so that half of one is never used."""
    data = home / "data.new"
    shutil.rmtree(data, ignore_errors=True)
    initdb: list[str | Path] = [
        *(binaries / "initdb", "--pgdata", data, "--username=turnout", "--auth=trust"),
        *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        *("--data-checksums", "--no-instructions", *(() if durable else ("--no-sync",))),
    ]
    single: list[str | Path] = [
        *(binaries / "postgres", "--single", "-D", data),
        *("-c", "exit_on_error=on", "-c", "log_checkpoints=off", "postgres"),
    ]
    for command, text in ((initdb, b""), (single, b"CREATE DATABASE turnout")):
        done = subprocess.run(  # noqa: S603  (the binaries of the package)
            command, check=False, input=text, stdout=subprocess.DEVNULL, pass_fds=(lock,)
        )
        if done.returncode != 0:
            sys.exit(done.returncode)
    data.rename(home / "data")
    os.fsync(os.open(home, os.O_RDONLY))


async def serve(data: Path, binaries: Path, listener: int, lock: int, *, durable: bool) -> None:
    """Run the server until its last user has left, or it ends by itself."""
    forget_killed_server(data)
    settings = SETTINGS if durable else SETTINGS | CARELESS
    postgres = await asyncio.create_subprocess_exec(
        *(binaries / "postgres", "-D", data),
        *(f"--{name}={value}" for name, value in settings.items()),
        stdin=asyncio.subprocess.DEVNULL,
        pass_fds=(lock,),
        preexec_fn=partial(stop_with_parent, os.getpid(), ctypes.CDLL(None)),
    )
    users: set[asyncio.StreamWriter] = set()
    ready = False

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not server.is_serving():
            writer.close()
            return
        users.add(writer)
        if ready:
            writer.write(READY)
        with suppress(ConnectionResetError, asyncio.CancelledError):
            await reader.read()  # until the user leaves or dies, or the server has ended
        users.remove(writer)
        if users:
            writer.close()
            return
        server.close()
        with suppress(ProcessLookupError):
            postgres.send_signal(signal.SIGINT)  # the one who has left hears of it when we exit

    server = await asyncio.start_unix_server(attend, sock=socket.socket(fileno=listener))
    while postgres.returncode is None and not ready:
        await asyncio.sleep(0.01)
        if ready := accepts_connections(data, postgres.pid):
            for user in users:
                user.write(READY)
    await postgres.wait()


def forget_killed_server(data: Path) -> None:
    """Have PostgreSQL disregard the lock files that a killed server left behind.

    It refuses to start when any process has the number in them, which happens in containers, where
    numbers are few and come again, or where the killed server stays a zombie. None of our servers
    is left, for we hold the lock; one started by hand works in the data directory. PostgreSQL
    ignores the number of its own parent, and still checks by the rest of the file that no part of
    the old server is left.
    """
    data.with_name(".s.PGSQL.5432.lock").unlink(missing_ok=True)
    pid_file = data / "postmaster.pid"
    if sys.platform == "linux" and pid_file.exists():
        pid, _, rest = pid_file.read_text().partition("\n")
        if not works_in(data, pid):
            pid_file.write_text(f"{os.getpid()}\n{rest}")


def works_in(directory: Path, pid: str) -> bool:
    with suppress(OSError):
        return Path("/proc", pid, "cwd").samefile(directory)
    return False


def accepts_connections(data: Path, pid: int) -> bool:
    """Read what the server writes for pg_ctl to read."""
    with suppress(FileNotFoundError):
        match (data / "postmaster.pid").read_text().split():
            case [first, *_, state]:
                return first == str(pid) and state == "ready"
    return False


def stop_with_parent(parent: int, libc: ctypes.CDLL) -> None:
    """In the child: have the kernel stop the server, should the guard be killed."""
    if sys.platform == "linux":
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != parent:
            os._exit(1)


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        int(sys.argv[3]),
        int(sys.argv[4]),
        durable=sys.argv[5] == "1",
    )
