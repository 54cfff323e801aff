#!/bin/sh
# Run `triage nightly` once. One that finds the workspace held (exit code 75) or the machine short of something (3) is
# tried again every NIGHTLY_RETRY_SECONDS (900 when not set), NIGHTLY_TRIES times in all (40: ten hours), and goes on where
# it stopped. Ends with the exit code of the last try. For Kubernetes and, by every-night, for compose.
set -u
tries=${NIGHTLY_TRIES:-40}
child=
trap 'kill "$child" 2>/dev/null; wait "$child" 2>/dev/null; exit 143' TERM INT
while :; do
    triage --verbose nightly "$@" &
    child=$!
    wait "$child"
    code=$?
    tries=$((tries - 1))
    case $code in
        3 | 75) [ "$tries" -gt 0 ] || exit "$code" ;;
        *) exit "$code" ;;
    esac
    echo "the night will be tried again (exit code $code)"
    sleep "${NIGHTLY_RETRY_SECONDS:-900}" &
    child=$!
    wait "$child"
done
