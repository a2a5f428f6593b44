"""What strace wrote, read: names, unfinished calls, threads, children, and what is noise."""

import os
from pathlib import Path

import pytest

from nightproof.provenance.witness.strace import Span, Trace

ME = os.getpid()


@pytest.fixture
def trace(tmp_path: Path):
    """A trace that tests write."""

    class Written(Trace):
        def lines(self, *calls: str, at: float = 100.0, pid: int = ME) -> None:
            with (tmp_path / "trace").open("a") as file:
                for call in calls:
                    file.write(f"{pid} {at:.6f} {call}\n")

        def named(self, begun: float = 0.0) -> list[tuple[str, str]]:
            return [(one.what, one.name) for one in self.sounds(0.0, begun)]

    (tmp_path / "trace").touch()
    found = Written(str(tmp_path / "trace"), [str(tmp_path / "slot")])
    found.began = 0.0
    return found


def opened(path: str, flags: str = "O_RDONLY", folder: str = "/srv/job") -> str:
    """A file that was opened, as strace tells it."""
    return f'openat(AT_FDCWD<{folder}>, "{path}", {flags}) = 3</somewhere>'


def test_names_are_absolute_and_decoded(trace):
    """Relative to the working folder or to an open one; escapes are bytes."""
    trace.lines(
        opened("a.txt"),
        'openat(5</data>, "../b.txt", O_RDONLY|O_CLOEXEC) = 6</b.txt>',
        opened("/h\\303\\244.txt"),
        opened('/with \\"quotes\\".txt'),
        'openat2(AT_FDCWD</srv/job>, "c.txt", {flags=O_RDONLY, resolve=0}, 24) = 3</srv/job/c.txt>',
        'open("/d.txt", O_RDONLY) = 3</d.txt>',
        opened("/folder", "O_RDONLY|O_NONBLOCK|O_CLOEXEC|O_DIRECTORY"),
    )
    assert trace.named() == [
        ("file", "/srv/job/a.txt"),
        ("file", "/b.txt"),
        ("file", "/hä.txt"),
        ("file", '/with "quotes".txt'),
        ("file", "/srv/job/c.txt"),
        ("file", "/d.txt"),
        ("folder", "/folder"),
    ]


def test_a_call_in_two_lines_is_one(trace):
    """What another thread interrupted is put together again; a half line waits."""
    trace.lines('openat(AT_FDCWD</srv/job>, "a.txt", O_RDONLY <unfinished ...>')
    trace.lines(opened("/b.txt"), pid=ME + 1)
    assert trace.named() == [("file", "/b.txt")]
    trace.lines("<... openat resumed>) = 3</srv/job/a.txt>")
    with Path(trace._file).open("a") as file:
        file.write(f"{ME} 100.0 openat(AT_FDCWD</srv/job>, ")
    assert ("file", "/srv/job/a.txt") in trace.named()
    with Path(trace._file).open("a") as file:
        file.write('"late.txt", O_RDONLY) = 3</srv/job/late.txt>\n')
    assert ("file", "/srv/job/late.txt") in trace.named()


def test_noise_is_left_out(trace, tmp_path):
    """Failures, what was written first, libraries, the slot, and what Python told of itself."""
    (tmp_path / "listed").mkdir()
    trace.lines(
        'openat(AT_FDCWD</srv/job>, "/none", O_RDONLY) = -1 ENOENT (No such file or directory)',
        opened("/made", "O_WRONLY|O_CREAT"),
        opened("/made"),
        'rename("/made", "/moved") = 0',
        opened("/moved"),
        opened("/usr/local/lib/libx.so.1.2"),
        opened("/proc/self/maps"),
        opened(f"{tmp_path}/slot/home/x"),
        opened(str(tmp_path / "listed")),
        'connect(3<UDP:[1]>, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("9.9.9.9")}'
        ", 16) = 0",
    )
    trace._hear("open", ("/heard.txt", "r", 0))
    trace._hear("socket.connect", (None, ("127.0.0.1", 80)))
    trace.lines(
        opened("/heard.txt"),
        'connect(3<TCP:[1]>, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1"'
        ")}, 16) = 0",
    )
    assert trace.named() == []


def test_hosts_of_native_code(trace):
    """By address and port, where a look-up has told no name; sockets of this machine too."""
    trace.lines(
        "connect(3<TCP:[1]>, {sa_family=AF_INET, sin_port=htons(5432), "
        'sin_addr=inet_addr("10.0.0.7")}, 16) = -1 EINPROGRESS (Operation now in progress)',
        "connect(3<TCPv6:[1]>, {sa_family=AF_INET6, sin6_port=htons(443), "
        'sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "2001:db8::1", &sin6_addr), '
        "sin6_scope_id=0}, 28) = 0",
        'connect(4<UNIX-STREAM:[7]>, {sa_family=AF_UNIX, sun_path="/run/pg/.s.5432"}, 110) = 0',
    )
    assert trace.named() == [
        ("host", "10.0.0.7:5432"),
        ("host", "[2001:db8::1]:443"),
        ("host", "unix:/run/pg/.s.5432"),
    ]


def test_reads_belong_to_the_step_of_their_thread(trace):
    """Two steps at once are told apart by thread; a child counts for the step that started it."""
    clone = "clone3({{flags=CLONE_VM|CLONE_THREAD}} => {{parent_tid=[{0}]}}, 88) = {0}"
    trace.lines(clone.format(ME + 1), clone.format(ME + 2), at=1.0)
    trace.spans += [
        Span(10.0, 20.0, "one", b"1", ME + 1),
        Span(10.0, 20.0, "two", b"2", ME + 2),
        Span(30.0, 40.0, "three", b"3", ME),
        Span(50.0, 60.0, "elsewhere", b"4", ME, run=99),
    ]
    trace.lines(opened("/one"), at=12.0, pid=ME + 1)
    trace.lines(opened("/two"), at=12.0, pid=ME + 2)
    trace.lines(f"vfork() = {ME + 5}", at=13.0, pid=ME + 2)
    trace.lines('execve("/opt/tool", ["tool"], 0x7f /* 3 vars */) = 0', at=13.1, pid=ME + 5)
    trace.lines(opened("/by-tool"), at=25.0, pid=ME + 5)
    trace.lines(opened("/nobody-knows"), at=12.0, pid=ME + 9)
    trace.lines(opened("/three"), at=35.0)
    trace.lines(opened("/body"), at=45.0)
    trace.lines(opened("/other-run"), at=55.0)
    trace.lines(opened("/import"), at=4.0)
    found = {one.name: (one.step, one.fp, one.by) for one in trace.sounds(0.0, 5.0, run=7)}
    assert found == {
        "/one": ("one", b"1", ""),
        "/two": ("two", b"2", ""),
        "/opt/tool": ("two", b"2", "program tool"),
        "/by-tool": ("two", b"2", "program tool"),
        "/nobody-knows": ("?", b"", ""),
        "/three": ("three", b"3", ""),
        "/body": ("", b"", ""),
        "/import": ("import", b"", ""),
    }


def test_only_what_came_since_counts(trace):
    """A second attempt of the process does not have the reads of the first."""
    trace.lines(opened("/old"), at=10.0)
    trace.lines(opened("/new"), at=30.0)
    assert [one.name for one in trace.sounds(20.0, 20.0)] == ["/new"]


def test_lines_that_mean_nothing_here_are_passed_over(trace):
    """Exits, signals and what a newer strace may write."""
    trace.lines("+++ exited with 0 +++", "--- SIGCHLD {} ---", "brandnew(1, 2) = 0", "open(")
    with Path(trace._file).open("ab") as file:
        file.write(b"no line of strace\n\xff\xfe\n")
    assert trace.named() == []


def test_what_our_own_clients_ask_is_noise(trace):
    """By name or by address, at that port only, and only in our own process."""
    asked = (
        'connect(5<TCP:[1]>, {sa_family=AF_INET, sin_port=htons(%d), sin_addr=inet_addr("%s")}, 16)'
        " = 0"
    )
    trace.own([], [("localhost", 5432)])
    trace.lines(asked % (5432, "127.0.0.1"), asked % (5433, "127.0.0.1"))
    assert trace.named() == [("host", "127.0.0.1:5433")]
