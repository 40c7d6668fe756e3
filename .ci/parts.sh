# Sourced by the scripts of this folder: runs named parts, keeps their output in .build/log,
# and prints the time of each. A part that fails ends the run and shows the end of its output.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOTOOLCHAIN=go1.27.3
ROOT=$PWD
LOG=$ROOT/.build/log
VENV=$ROOT/.build/venv
PYTHON=${PYTHON:-python3}
mkdir -p "$LOG"
PASSED=0
declare -a TIMES=()

# part NAME COMMAND…: one part. ONLY="name name" runs just those.
part() {
    local name=$1 start=$SECONDS
    shift
    if [[ -n ${ONLY:-} && " $ONLY " != *" $name "* ]]; then return 0; fi
    printf '%-14s ' "$name"
    if ! "$@" >"$LOG/$name.log" 2>&1; then
        echo "FAILED after $((SECONDS - start)) s"
        tail -n 80 "$LOG/$name.log"
        echo
        echo "$PASSED passed, 1 failed"
        exit 1
    fi
    PASSED=$((PASSED + 1))
    TIMES+=("$name $((SECONDS - start))")
    echo "ok  $((SECONDS - start)) s$(summary "$LOG/$name.log")"
}

# summary prints the last line in which a test runner counts what it ran.
summary() {
    local line
    line=$(grep -E '(passed|scenarios|^# pass |tests? ok)' "$1" | tail -n 1 | tr -s ' =' ' ' || true)
    [[ -z $line ]] || echo "  (${line:0:80})"
}

finish() {
    echo
    printf '%s\n' "${TIMES[@]}" | sort -k2 -rn | head -n 5 | sed 's/^/slowest: /; s/$/ s/'
    echo "total: $SECONDS s"
    echo "$PASSED passed, 0 failed"
}
