#!/usr/bin/env bash
# Make .venv, or bring it up to date with pyproject.toml and constraints.txt. Says what it does and, if it cannot, why.
set -uo pipefail
python=${PYTHON:-python3.11}
log=.venv/setup.log

first_error() { grep -m 1 ERROR "$log" | sed "s/^ *//"; }

fail() { # fail MESSAGE: one line, exit code 3 as for every lack of the machine
    echo "setup: $1" >&2
    exit 3
}

command -v "$python" >/dev/null || python=python3
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null ||
    fail "Python 3.11 or 3.12 is needed, with venv. Install it, or name it: make PYTHON=/path/to/python3.11"
free_mb=$(df -Pm . | awk 'NR == 2 { print $4 }')
[ "$free_mb" -ge 6000 ] || [ -e .venv/ready ] || fail "6 GB of free disk are needed here, $free_mb MB are free."

[ -x .venv/bin/python ] || "$python" -m venv .venv || fail "python -m venv failed; on Debian: apt install python3-venv"
echo "Installing packages into .venv; the first time this takes two to four minutes."
# constraints.txt pins torch, so that a machine whose index offers a CPU build of it takes that one.
.venv/bin/python -m pip install --progress-bar off -c constraints.txt torch -e '.[dev]' 2>&1 | tee "$log" |
    awk '/^Collecting/ { n++; if (n % 20 == 0) { print "  " n " packages found"; fflush() } }
         /^Installing collected/ { print "  unpacking " n " packages"; fflush() }'
if [ "${PIPESTATUS[0]}" -ne 0 ]; then
    grep -q 'No space left' "$log" && fail "the disk is full. Free some space and run again."
    grep -qE 'NewConnectionError|Temporary failure|Connection refused|ConnectTimeout|No matching distribution' "$log" &&
        fail "the package index cannot be reached, or lacks a package: $(first_error). Check the network; details: $log"
    fail "pip failed: $(first_error). Details: $log"
fi
touch .venv/ready
echo "Set-up is complete."
