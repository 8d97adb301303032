"""What a process inherits, and what its imports depend on: a command is handed over only where all of it is the same.

Words, folder, streams, ignored signals and the variables of its terminal are handed over with it and may differ.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import sys
import sysconfig
from pathlib import Path
from typing import Any

MAY_DIFFER = (
    *("PWD", "OLDPWD", "SHLVL", "_", "COLUMNS", "LINES", "TERM", "COLORTERM", "WINDOWID", "GPG_TTY", "XDG_SESSION_ID"),
    *("TERM_PROGRAM", "TERM_PROGRAM_VERSION", "TERM_SESSION_ID", "STY", "WINDOW", "TMUX", "TMUX_PANE", "VTE_VERSION"),
    *("GNOME_TERMINAL_SCREEN", "GNOME_TERMINAL_SERVICE", "KONSOLE_DBUS_SESSION", "KONSOLE_DBUS_WINDOW"),
    *("PS1", "PS2", "PS4", "PROMPT", "PROMPT_COMMAND", "RPROMPT", "VIRTUAL_ENV_PROMPT", "CONDA_PROMPT_MODIFIER"),
    *("KITTY_PID", "KITTY_WINDOW_ID", "WEZTERM_PANE", "ITERM_SESSION_ID", "SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY"),
)
"""Variables of shells and terminals; no library of ours reads them as it is imported."""
_GROUP_OF_A_TERMINAL = re.compile(r"/(session|vte-spawn)-[^/\n]*\.scope")
"""One that systemd makes for every login and every window; limits are not set there."""


def circumstances() -> dict[str, Any]:
    """Return what must be alike, by what it is called in messages, as JSON would return it."""
    described: dict[str, Any] = {
        "Python": [sys.executable, sys.version, list(sys.flags), sys.warnoptions, sys._xoptions],
        "module path": list(sys.path),
        "user": [os.getuid(), os.geteuid(), os.getgid(), sorted(os.getgroups())],
        "umask": _umask(),
        "niceness": os.nice(0),
        "mask of signals": sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))),
        # which matplotlib reads in the folder where it is imported
        "matplotlibrc": os.path.abspath("matplotlibrc") if os.path.exists("matplotlibrc") else None,
    }
    if sys.platform == "linux":
        described["processors"] = [os.sched_getscheduler(0), *sorted(os.sched_getaffinity(0))]
        described["control group"] = _GROUP_OF_A_TERMINAL.sub("", Path("/proc/self/cgroup").read_text())
        described["namespace"] = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in os.listdir("/proc/self/ns")}
    for name in dir(resource):
        if name.startswith("RLIMIT_"):
            described[name] = list(resource.getrlimit(getattr(resource, name)))
    return described | {f"${name}": value for name, value in os.environ.items() if name not in MAY_DIFFER}


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Return the names of what is not alike."""
    return [name for name in sorted(ours.keys() | theirs.keys()) if ours.get(name) != theirs.get(name)]


def stamp() -> dict[str, int]:
    """Return when our own files, and the folders into which packages are installed, changed last."""
    installed = {Path(sysconfig.get_paths()[kind]) for kind in ("purelib", "platlib")}
    changed = {}
    for place in [*Path(__file__).parents[1].rglob("*.py"), *installed]:
        # it may vanish just now; an editor's lock is a link to nowhere
        with contextlib.suppress(OSError):
            changed[str(place)] = place.stat().st_mtime_ns
    return changed


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
