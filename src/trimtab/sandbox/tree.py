"""The file tree a confined process sees: the standard library, its shared libraries, and allow-listed packages.

Decisions: what may be read is listed, never what may not; site-packages is never listed as a whole, because answers to
benchmarks are installed there; Landlock's rules are per entry of a directory, and the mount tree of tier A, which can
only bind whole directories, masks every site-packages and dist-packages beneath them.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from trimtab.sandbox import kernel

if TYPE_CHECKING:
    from trimtab.sandbox.profile import Profile

_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/urandom")
_INSTALLED: Final = ("site-packages", "dist-packages")
_READ: Final = kernel.FS_READ_FILE | kernel.FS_READ_DIR
_LOCK: Final = kernel.ATTR_RDONLY | kernel.ATTR_NOSUID
# Landlock ignores a rule on the folder that a mount covers, so the scratch file system has a folder around it.
_AROUND_SCRATCH: Final = "/box"
SCRATCH: Final = f"{_AROUND_SCRATCH}/tmp"  # noqa: S108 - nobody else is in this tree
# Where packages are seen whose own place is taken.
_ADMITTED: Final = "/admitted"
_DATA: Final = ("/usr/share/zoneinfo", "/usr/lib/locale", "/usr/share/locale", "/usr/share/i18n")
_SCRATCH_FILES: Final = 1000
# Where the programs of a machine are.
_PROGRAMS: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib64")


class Readable(NamedTuple):
    """What may be read.

    Attributes:
        stdlib: The standard library's directory, resolved.
        libraries: Directories of shared libraries this process has mapped.
        packages: Paths of allow-listed packages: files or directories inside some site-packages.
        places: Where each of them is seen from inside.
        data: Time zones and locales of the machine, which programs may ask for by name.
        programs: Files and folders of programs that samples may execute.
        links: Names in the root folder that are symbolic links to some of them, with what they point to.
    """

    stdlib: str
    libraries: tuple[str, ...]
    packages: tuple[str, ...]
    places: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()


def survey(packages: tuple[str, ...], profile: Profile, *, mounts: bool) -> Readable:
    """Find out what this interpreter needs; call it after its modules are loaded and before it is confined.

    Args:
        packages: Paths of packages to admit.
        profile: What samples may do.
        mounts: Whether a private tree will be made; what lies where that has folders of its own moves.
    """
    with open("/proc/self/maps", encoding="utf-8") as file:  # noqa: PTH123 - a child imports as little as it can
        mapped = {line.split(maxsplit=5)[5].strip() for line in file if ".so" in line}
    libraries = {os.path.dirname(os.path.realpath(path)) for path in mapped if path.startswith("/")}  # noqa: PTH120
    stdlib = os.path.dirname(os.path.realpath(os.__file__))  # noqa: PTH120
    inside = tuple(sorted(path for path in libraries if not f"{path}/".startswith(f"{stdlib}/")))
    places = tuple(f"{_ADMITTED}{path}" if mounts and _hidden(path) else path for path in packages)
    data = tuple(path for path in _DATA if os.path.exists(path))  # noqa: PTH110
    readable = Readable(stdlib=stdlib, libraries=inside, packages=packages, places=places, data=data)
    return _with_programs(readable) if profile.processes else readable


def _with_programs(readable: Readable) -> Readable:
    there = [path for path in _PROGRAMS if os.path.isdir(path)]  # noqa: PTH112
    links = tuple((path, os.readlink(path)) for path in there if os.path.islink(path))  # noqa: PTH114, PTH115
    folders = [path for path in there if path not in dict(links)]
    return Readable(
        stdlib=readable.stdlib,
        libraries=readable.libraries,
        packages=readable.packages,
        places=readable.places,
        programs=(*folders, os.path.realpath(sys.executable)),
        links=links,
    )


def _hidden(path: str) -> bool:
    """Tell whether a path lies where the private tree has a folder of its own."""
    return any(path.startswith(f"{folder}/") for folder in ("/tmp", "/dev/shm", _AROUND_SCRATCH))  # noqa: S108


def resolve_path(readable: Readable) -> None:
    """Point ``sys.path`` and ``sys.executable`` at what of them a confined process sees."""
    folders = dict.fromkeys(os.path.dirname(package) for package in readable.places)  # noqa: PTH120
    sys.path[:] = [readable.stdlib, f"{readable.stdlib}/lib-dynload", *folders]
    sys.path_importer_cache.clear()
    sys.executable = os.path.realpath(sys.executable) if readable.programs else ""


def rules(readable: Readable, profile: Profile) -> list[tuple[str, int]]:
    """Return Landlock rules: pairs of a path and its rights."""
    if profile.scratch_mib:
        # Each sample pays for every rule, and the mount tree shows nothing else than what is listed below.
        everything = _READ | (kernel.FS_EXECUTE if profile.processes else 0)
        return [("/", everything), (_AROUND_SCRATCH, kernel.FS_SCRATCH)]
    granted: list[tuple[str, int]] = [(readable.stdlib, kernel.FS_READ_DIR)]
    entries = [entry for entry in _names(readable.stdlib) if entry not in _INSTALLED]
    granted += [(f"{readable.stdlib}/{entry}", _READ) for entry in entries]
    for folder in readable.libraries:
        granted += [(f"{folder}/{name}", kernel.FS_READ_FILE) for name in _names(folder) if ".so" in name]
    granted += [(os.path.dirname(package), kernel.FS_READ_DIR) for package in readable.places]  # noqa: PTH120
    granted += [(place, _READ) for place in (*readable.places, *readable.data)]
    return granted + [(device, kernel.FS_READ_FILE) for device in _DEVICES]


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - pathlib is not loaded here
    except OSError:
        return []


def enter(readable: Readable, profile: Profile) -> None:
    """Make a private, read-only tree the root of this mount namespace.

    Raises:
        OSError: A mount was refused; the message names it.
    """
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    folders = _outermost([readable.stdlib, *readable.libraries, *readable.programs, *readable.data])
    masks = [mask for folder in folders for mask in _masked(folder)]
    # Sources are opened first: the new root is mounted over a folder that may contain one of them.
    sources = [(path, os.open(path, os.O_PATH)) for path in (*folders, *_DEVICES)]
    seen = zip(readable.places, readable.packages, strict=True)
    packages = [(place, os.open(path, os.O_PATH)) for place, path in seen]
    base = "/tmp"  # noqa: S108 - only a place to mount on
    kernel.mount("tmpfs", base, "tmpfs", 0, "size=1m,mode=0755")
    os.chdir(base)
    for path, descriptor in sources:
        _bind(base + path, descriptor)
    for mask in masks:
        kernel.mount("tmpfs", base + mask, "tmpfs", kernel.ATTR_NOSUID, "size=256k,mode=0755")
    for path, descriptor in packages:
        _bind(base + path, descriptor)
    for mask in masks:
        kernel.mount_attributes(base + mask, _LOCK | kernel.ATTR_NODEV)
    _furnish(base, readable, profile)
    kernel.pivot_here()
    kernel.mount_attributes("/", _LOCK | kernel.ATTR_NODEV, recursive=False)


def _furnish(base: str, readable: Readable, profile: Profile) -> None:
    """Make the folders and links of the new tree that hold nothing of the old one."""
    for path, aim in readable.links:
        os.symlink(aim, base + path)  # noqa: PTH211
    if not profile.scratch_mib:
        os.makedirs(f"{base}/tmp", exist_ok=True)  # noqa: PTH103, S108 - inside the new tree
        return
    os.makedirs(base + SCRATCH)  # noqa: PTH103
    if not os.path.isdir(f"{base}/tmp"):  # noqa: PTH112, S108 - else the interpreter itself lies there
        os.symlink(SCRATCH, f"{base}/tmp")  # noqa: PTH211, S108 - inside the new tree
    os.symlink(SCRATCH, f"{base}/dev/shm")  # noqa: PTH211, S108 - same: semaphores and shared memory live there


class Scratch:
    """The scratch file system of the sample to come: empty, bounded, in memory.

    A sample that wrote leaves traces in the state of the folder itself, and only then is the mount replaced. It must
    be called by a process that may mount, between samples, when nobody uses the old one.
    """

    def __init__(self, mib: int) -> None:
        self._options = f"size={mib}m,nr_inodes={_SCRATCH_FILES},mode=0700"
        self._pristine = self._mount()

    def fresh(self) -> None:
        """Make sure that the next sample finds nothing of an earlier one."""
        if self._state() != self._pristine or os.listdir(SCRATCH):  # noqa: PTH208
            kernel.unmount(SCRATCH)
            self._pristine = self._mount()

    def _mount(self) -> tuple[int, ...]:
        flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC | kernel.MS_NOATIME
        kernel.mount("tmpfs", SCRATCH, "tmpfs", flags, self._options)
        return self._state()

    def _state(self) -> tuple[int, ...]:
        status = os.stat(SCRATCH)  # noqa: PTH116
        return status.st_mode, status.st_uid, status.st_gid, status.st_nlink, status.st_mtime_ns, status.st_ctime_ns


def _outermost(folders: list[str]) -> list[str]:
    outermost: list[str] = []
    for folder in sorted(folders):
        if not any(f"{folder}/".startswith(f"{outer}/") for outer in outermost):
            outermost.append(folder)
    return outermost


def _masked(folder: str) -> list[str]:
    """Find the folders of installed packages in a folder of libraries or one that contains such folders."""
    inner = [f"{folder}/{name}" for name in ("lib", "lib64", "local/lib", "local/lib64")]
    return [mask for place in (folder, *inner) if not os.path.islink(place) for mask in _installed(place)]  # noqa: PTH114


def _installed(folder: str, depth: int = 2) -> list[str]:
    """Find directories of installed packages beneath ``folder``."""
    folders = []
    for name in _names(folder):
        path = f"{folder}/{name}"
        if os.path.islink(path) or not os.path.isdir(path):  # noqa: PTH112, PTH114
            continue
        if name in _INSTALLED:
            folders.append(path)
        elif depth > 1 and name.startswith("python"):
            folders += _installed(path, depth - 1)
    return folders


def _bind(target: str, descriptor: int) -> None:
    """Show the file or folder behind ``descriptor`` at ``target``, read-only."""
    source = f"/proc/self/fd/{descriptor}"
    if os.path.isdir(source):  # noqa: PTH112
        os.makedirs(target, exist_ok=True)  # noqa: PTH103
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o600))
    kernel.mount(source, target, None, kernel.MS_BIND | kernel.MS_REC)
    kernel.mount_attributes(target, _LOCK)
    os.close(descriptor)
