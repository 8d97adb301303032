"""What a process inherits, and what its imports depend on: a command is handed over only where all of it is the same.

Words, folder, streams, ignored signals and the variables of its terminal are handed over with it and may differ.
"""

from __future__ import annotations

import os
import re
import resource
import sys
import sysconfig
from pathlib import Path
from typing import Any

MAY_DIFFER = (
    *("PWD", "OLDPWD", "SHLVL", "_", "COLUMNS", "LINES", "TERM", "COLORTERM", "WINDOWID", "GPG_TTY", "XDG_SESSION_ID"),
    *("TERM_PROGRAM", "TERM_PROGRAM_VERSION", "TERM_SESSION_ID", "STY", "WINDOW", "TMUX", "TMUX_PANE", "VTE_VERSION"),
    *("GNOME_TERMINAL_SCREEN", "GNOME_TERMINAL_SERVICE", "KONSOLE_DBUS_SESSION", "KONSOLE_DBUS_WINDOW"),
    *("KITTY_PID", "KITTY_WINDOW_ID", "WEZTERM_PANE", "ITERM_SESSION_ID", "SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY"),
)
"""Variables of shells and terminals; no library of ours reads them as it is imported."""
_GROUP_OF_A_TERMINAL = re.compile(r"/(session|vte-spawn)-[^/\n]*\.scope")
"""One that systemd makes for every login and every window; limits are not set there."""


def circumstances() -> dict[str, Any]:
    """Return what must be alike, by what it is called in messages, as JSON would return it."""
    described: dict[str, Any] = {
        "Python": [sys.executable, sys.version, list(sys.flags)],
        "module path": list(sys.path),
        "user": [os.getuid(), os.geteuid(), os.getgid(), sorted(os.getgroups())],
        "umask": _umask(),
        "niceness": os.nice(0),
        # which matplotlib reads in the folder where it is imported
        "matplotlibrc": os.path.abspath("matplotlibrc") if os.path.exists("matplotlibrc") else None,
    }
    if hasattr(os, "sched_getaffinity"):
        described["processors"] = sorted(os.sched_getaffinity(0))
    groups = Path("/proc/self/cgroup")
    if groups.exists():
        described["control group"] = _GROUP_OF_A_TERMINAL.sub("", groups.read_text())
    for name in dir(resource):
        if name.startswith("RLIMIT_"):
            described[name] = list(resource.getrlimit(getattr(resource, name)))
    return described | {f"${name}": value for name, value in os.environ.items() if name not in MAY_DIFFER}


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Return the names of what is not alike."""
    return [name for name in sorted(ours.keys() | theirs.keys()) if ours.get(name) != theirs.get(name)]


def stamp() -> list[tuple[str, int]]:
    """Return when our own files, and the folders into which packages are installed, changed last."""
    installed = {Path(sysconfig.get_paths()[kind]) for kind in ("purelib", "platlib")}
    places = [*Path(__file__).parents[1].rglob("*.py"), *installed]
    return sorted((str(place), place.stat().st_mtime_ns) for place in places)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
