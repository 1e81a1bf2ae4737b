"""Child processes that cannot outlive the bench, and what the kernel says of their CPU time and memory."""

import contextlib
import ctypes
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def raise_open_files():
    """Lets this process and its children open as many files as the hard limit allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _before_exec(core):
    def prepare():
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if core is not None:
            os.sched_setaffinity(0, {core})

    return prepare


def command(arguments, core, log):
    """Starts `arguments` on `core` with stdout and stderr in the file `log`."""
    with open(log, "ab") as output:
        return subprocess.Popen(
            [str(argument) for argument in arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=_before_exec(core),
        )


def output_of(arguments, core, timeout):
    """Runs `arguments` on `core` to their end and gives what they wrote to stdout."""
    done = subprocess.run(
        [str(argument) for argument in arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_before_exec(core),
        timeout=timeout,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{arguments[0]} {arguments[1]} failed: {done.stderr.strip()}")
    return done.stdout


def stop(process):
    """Ends a child: politely, then at once."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def awake(cores):
    """Keeps cores from halting, by something that runs only while nothing else wants to."""
    spin = (
        "import os; os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\n"
        "while os.getppid() == %d: pass" % os.getpid()
    )
    with contextlib.ExitStack() as stack:
        for core in cores:
            child = subprocess.Popen([sys.executable, "-c", spin], preexec_fn=_before_exec(core))
            stack.callback(child.wait)
            stack.callback(child.kill)
        yield


@contextlib.contextmanager
def running(arguments, core, log):
    """A child for as long as the block runs."""
    process = command(arguments, core, log)
    try:
        yield process
    finally:
        stop(process)


def family(pid):
    """A process and all its descendants."""
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def cpu_nanoseconds(pid):
    """CPU time of a process, its threads and its descendants, as the scheduler counted it."""
    total = 0
    for member in family(pid):
        for task in pathlib.Path(f"/proc/{member}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total


def resident_bytes(pid):
    """Resident memory of a process and its descendants."""
    total = 0
    for member in family(pid):
        pages = int(pathlib.Path(f"/proc/{member}/statm").read_text().split()[1])
        total += pages * resource.getpagesize()
    return total


def wait_until(condition, seconds, what):
    """Polls until `condition()` is true."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > end:
            raise RuntimeError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.02)
    return answer
