#!/bin/sh
# Run one-night every night at NIGHTLY_AT (UTC, 01:30 when not set). A night that fails is said and the next one comes all
# the same; it names the night that was not finished. For compose; Kubernetes has a CronJob, systemd a timer.
set -u
at=${NIGHTLY_AT:-01:30}
child=
trap 'kill "$child" 2>/dev/null; wait "$child" 2>/dev/null; exit 0' TERM INT
while :; do
    now=$(date -u +%s)
    next=$(date -u -d "today $at" +%s) || exit 2
    [ "$next" -gt "$now" ] || next=$((next + 86400))
    echo "next night at $(date -u -d "@$next" +%Y-%m-%dT%H:%MZ)"
    sleep $((next - now)) &
    child=$!
    wait "$child"
    one-night "$@" &
    child=$!
    wait "$child" || echo "the night failed with exit code $?" >&2
done
