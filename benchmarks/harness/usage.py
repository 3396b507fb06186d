"""What a process has used, as the operating system counts it (Linux)."""

from pathlib import Path

import psutil


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, all threads."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def family_cpu_seconds(pid: int) -> float:
    """The same for a process with its children, also those that ended: Postgres has one for each connection."""
    ended = psutil.Process(pid).cpu_times()
    living = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return float(ended.children_user + ended.children_system) + sum(cpu_seconds(process.pid) for process in living)


def peak_memory_bytes(pid: int) -> int:
    """Largest resident set of a process so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def memory_bytes(pid: int) -> int:
    """Resident set of a process now."""
    return int(psutil.Process(pid).memory_info().rss)
