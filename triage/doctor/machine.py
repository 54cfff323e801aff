"""What `triage doctor` looks at on the machine: Python, Java, memory, disk, GPU, Spark's master, port, browser."""

from __future__ import annotations

import errno
import http.client
import importlib.util
import json
import os
import platform
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from triage.doctor.check import Check, nearest
from triage.doctor.packages import installed

_MIN_DISK_GB, _GOOD_DISK_GB = 2, 6  # six are what `make demo` takes, packages included
_MIN_SCRATCH_GB = 1
_MIN_MEMORY_GB, _MIN_FREE_GB = 4, 2
_PYTHON = ((3, 11), (3, 13))
_ASK_TORCH = "import torch; print(torch.cuda.get_device_name(0) if torch.cuda.is_available() else '')"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def python() -> Check:
    oldest, first_unknown = _PYTHON
    found = f"{platform.python_version()} at {sys.executable}"
    fits = oldest <= sys.version_info[:2] < first_unknown
    mend = "PYTHON=/path/to/python3.11 ./setup.sh"
    return Check(name="Python", state="ok" if fits else "wrong", found=found, mend="" if fits else mend)


def java() -> Check:
    """Raises MachineError, which says how to install it."""
    from pipeline.session import java_version

    return Check(name="Java", found=f"version {java_version()}")


def memory() -> Check:
    """The machine's, or what its container may take."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    limit = _number(Path("/sys/fs/cgroup/memory.max"))
    if limit is not None:
        total = min(total, limit / 1e9)
    free = _available_gb()
    told = f"{total:.1f} GB" + ("" if free is None else f", {min(free, total):.1f} GB of them free")
    if total < _MIN_MEMORY_GB:
        mend = f"{_MIN_MEMORY_GB} GB are wanted for Spark and training; with less: export TRIAGE_SPARK__MEMORY=1g"
        return Check(name="memory", state="wrong", found=told, mend=mend)
    if free is not None and free < _MIN_FREE_GB:
        mend = "ps aux --sort=-rss | head  # shows what takes it; Spark and training want 2 GB"
        return Check(name="memory", state="warning", found=told, mend=mend)
    return Check(name="memory", found=told)


def disk(folder: Path) -> Check:
    place = nearest(folder.resolve())
    free = shutil.disk_usage(place).free / 1e9
    found = f"{free:.1f} GB free at {place}"
    if free >= _GOOD_DISK_GB:
        return Check(name="disk", found=found)
    mend = f"du -xh {shlex.quote(str(place))} | sort -h | tail  # shows what takes it; {_GOOD_DISK_GB} GB are wanted"
    return Check(name="disk", state="wrong" if free < _MIN_DISK_GB else "warning", found=found, mend=mend)


def scratch() -> Check:
    """Where Spark puts what does not fit into memory."""
    place = tempfile.gettempdir()
    free = shutil.disk_usage(place).free / 1e9
    fits = free >= _MIN_SCRATCH_GB
    mend = "export TMPDIR=/a/larger/disk"
    found = f"{free:.1f} GB free at {place}"
    return Check(name="disk for Spark", state="ok" if fits else "warning", found=found, mend="" if fits else mend)


def gpu() -> Check:
    """The cards there are, the build of torch, and, only where there is a card, whether torch sees it (seconds)."""
    cards, build = _cards(), _torch_cuda()
    version = installed("torch")
    told = "no torch" if version is None else f"torch {version}, built for {f'CUDA {build}' if build else 'the CPU'}"
    if not cards:
        return Check(name="GPU", found=f"none; training takes the CPU ({told})")
    found = f"{', '.join(cards)}; {told}"
    if version is None:
        return Check(name="GPU", state="warning", found=found, mend="pip install -c constraints.txt -e '.[models]'")
    if build is None:
        plain = version.partition("+")[0]
        mend = f"pip install --force-reinstall torch=={plain}  # from an index that has builds for CUDA"
        return Check(name="GPU", state="warning", found=f"{found} alone", mend=mend)
    asked = subprocess.run([sys.executable, "-c", _ASK_TORCH], capture_output=True, text=True, timeout=60, check=False)
    if seen := asked.stdout.strip():
        return Check(name="GPU", found=f"{found}; torch sees {seen}")
    mend = "nvidia-smi  # its CUDA version must be that of torch's build or newer; CUDA_VISIBLE_DEVICES must name it"
    return Check(name="GPU", state="warning", found=f"{found}; torch sees none", mend=mend)


def spark_master(master: str | None) -> Check:
    """A master with an address is knocked at; yarn's is known to Hadoop's own files only."""
    name, master = "Spark master", master or "local[2]"
    address = re.search(r"//(?:\w+://)?\[?([\w.:-]+?)\]?:(\d+)", master)
    if master.startswith("local"):
        return Check(name=name, found=f"{master}, this machine")
    if address is None:
        return Check(name=name, found=f"{master}, which cannot be asked from here")
    host, at = address.group(1), int(address.group(2))
    try:
        socket.create_connection((host, at), timeout=2).close()
    except (OSError, OverflowError) as error:
        mend = "unset TRIAGE_SPARK__MASTER  # takes two cores of this machine; or start the cluster, mend the address"
        return Check(name=name, state="wrong", found=f"{master} does not answer: {error}", mend=mend)
    return Check(name=name, found=f"{master} answers")


def port(host: str, number: int) -> Check:
    """Free, or taken by a service of ours, or by something else."""
    name = "port"
    if number == 0:
        return Check(name=name, found="any free one")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host.strip("[]"), number, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return _taken(host, number, error)
    return Check(name=name, found=f"{number} is free on {host}")


def _taken(host: str, number: int, error: OSError) -> Check:
    if error.errno == errno.EADDRINUSE:
        if _is_ours(host, number):
            return Check(name="port", found=f"{number} on {host} is a running `triage serve`")
        found, mend = f"{number} on {host} is taken by something else", f"export TRIAGE_PORT={number + 1}"
    elif error.errno == errno.EACCES:
        found, mend = f"{number} needs the rights of root", "export TRIAGE_PORT=8000"
    else:
        found, mend = f"{host}: {error.strerror or error}", "export TRIAGE_HOST=127.0.0.1  # or this machine's address"
    return Check(name="port", state="wrong", found=found, mend=mend)


def _is_ours(host: str, number: int) -> bool:
    """Asked at /livez, which answers without a key."""
    from triage.keys import address_here

    here = address_here(host, number).removeprefix("http://")
    connection = http.client.HTTPConnection(here, timeout=2)
    try:
        connection.request("GET", "/livez")
        return bool(json.loads(connection.getresponse().read(1000)) == {"status": "alive"})
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()


def browser() -> Check:
    """Only the tests of the pages need one, so it is never wrong."""
    found = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if found:
        return Check(name="browser for tests", found=found)
    told = "no chromium; only the tests of the pages need it"
    if installed("pytest") is None:
        return Check(name="browser for tests", found=told)
    return Check(name="browser for tests", state="warning", found=told, mend="apt install chromium")


def _cards() -> list[str]:
    """NVIDIA's, as the driver names them."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    said = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=15, check=False)
    return re.findall(r"^GPU \d+: (.+?)(?: \(UUID|$)", said.stdout, re.MULTILINE)


def _torch_cuda() -> str | None:
    """The CUDA that torch was built for, read from its own version.py: importing torch takes seconds."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    written = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    found = re.search(r"^cuda\b.*= '([^']+)'", written, re.MULTILINE)
    return found.group(1) if found else None


def _available_gb() -> float | None:
    try:
        told = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:  # not Linux
        return None
    found = re.search(r"MemAvailable:\s+(\d+) kB", told)
    return int(found.group(1)) / 1e6 if found else None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # no cgroup, or "max"
        return None
