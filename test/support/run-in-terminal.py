"""Runs a program in a terminal of its own: run-in-terminal.py ROWS COLUMNS PROGRAM ARGS...

Standard input is what is typed, standard output what the terminal shows. Lines on file descriptor 3 change the terminal:
`resize ROWS COLUMNS`, or `signal NUMBER` for its program. Ends with the exit code of the program, or 128 and its signal.
"""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios

rows, columns, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]


def resize(fd, height, width):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


child, terminal = pty.fork()
if child == 0:
    resize(0, rows, columns)
    os.execvp(program[0], program)

sources = [0, 3, terminal]
while True:
    try:
        ready, _, _ = select.select(sources, [], [])
    except InterruptedError:
        continue
    if terminal in ready:
        try:
            shown = os.read(terminal, 65536)
        except OSError:  # nobody holds the other end any more
            break
        if not shown:
            break
        os.write(1, shown)
    if 0 in ready:
        typed = os.read(0, 65536)
        if typed:
            os.write(terminal, typed)
        else:
            # Whoever types has gone: so does the terminal.
            os.kill(child, signal.SIGHUP)
            sources.remove(0)
    if 3 in ready:
        words = os.read(3, 4096).decode().split()
        if not words:
            sources.remove(3)
        elif words[0] == "resize":
            resize(terminal, int(words[1]), int(words[2]))
        elif words[0] == "signal":
            os.kill(child, int(words[1]))

_, status = os.waitpid(child, 0)
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
