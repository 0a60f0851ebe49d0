# shellcheck shell=bash
# What the entry points in script/ share: where the tree is, how progress and errors are shown. Sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="$root/.venv"
program="script/$(basename "$0")"
cd "$root" || exit 1

# Everything below calls tools by name; those of the virtual environment come first.
export PATH="$venv/bin:$PATH"
# ansible.cfg is not read from a world-writable directory, which a checkout may well be in; naming it is explicit.
export ANSIBLE_CONFIG="$root/ansible.cfg"

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m' plain=$'\e[0m'
else
  bold='' plain=''
fi

# say TEXT: one line of progress, with the seconds since the script started.
say() { printf '%s==> [%4ds] %s%s\n' "$bold" "$SECONDS" "$*" "$plain"; }

# die TEXT...: what went wrong on the first line, what to do about it on the next ones.
die() {
  printf '%s: %s\n' "$program" "$1" >&2
  shift
  (($# == 0)) || printf '  %s\n' "$@" >&2
  exit 1
}

# need_root WHY: refuse before anything has been done.
need_root() {
  ((EUID == 0)) || die "this needs root: $1." "Nothing has been done. Run it as root, for example: sudo $program"
}

# timed NAME COMMAND...: run a stage under a headline, remember how long it took; stops the script if it fails.
stages=()
timed() {
  local name=$1 began=$SECONDS status=0
  shift
  say "$name"
  "$@" || status=$?
  stages+=("$(printf '%-12s %5ds  %s' "$name" $((SECONDS - began)) "$( ((status)) && echo failed || echo ok)")")
  return "$status"
}

# stage_table: the times of all stages so far.
stage_table() {
  ((${#stages[@]})) || return 0
  say "times"
  printf '    %s\n' "${stages[@]}"
}
