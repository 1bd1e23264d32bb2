#!/bin/sh
# Runs one attempt. The protocol stands in README.md; in short: link `pid` or exit, run the program, keep its limit,
# survive TERM, rename `exit` into place, leave nothing running.
#
#   sh shim.sh <nonce> <boot id> <run-time limit, s> <grace, s> <program> [argument…]
#
# Working directory: the attempt's folder. Leads its process group. Descriptor 3: a pipe to the launcher, closed when the
# link is decided. Environment: PATH, JENNAH_ENV_COUNT and JENNAH_ENV_1…n, the pairs NAME=value of the program's.

main() {
  JENNAH_NONCE=$1 JENNAH_BOOT=$2 JENNAH_LIMIT=$3 JENNAH_GRACE=$4
  shift 4
  JENNAH_STOP=
  JENNAH_CHILD=
  JENNAH_REAPED=
  # Before the link: whoever reads the pid may send a signal at once.
  trap 'request_stop cancelled' TERM
  trap 'request_stop timeout' ALRM
  trap 'kill -s KILL "$JENNAH_CHILD"; finish 137' USR1

  take_link || exit 1
  exec 3>&-

  [ -z "$JENNAH_STOP" ] || finish 143
  (sleep "$JENNAH_LIMIT" && kill -s ALRM $$) &
  (run "$@") &
  JENNAH_CHILD=$!
  # A stop between the check above and the fork reached everyone but the program.
  [ -z "$JENNAH_STOP" ] || kill -s TERM "$JENNAH_CHILD" 2>/dev/null

  # A trapped signal ends the wait, not the program: wait again. Where the shell had reaped the program by then, the
  # second wait knows its code still (bash), or says 127 because the first one told it (dash).
  while :; do
    JENNAH_WOKEN=
    wait "$JENNAH_CHILD"
    JENNAH_WAITED=$?
    if [ "$JENNAH_WAITED" -ne 127 ] || [ -z "$JENNAH_REAPED" ]; then JENNAH_CODE=$JENNAH_WAITED; fi
    [ -n "$JENNAH_WOKEN" ] || break
    kill -s 0 "$JENNAH_CHILD" 2>/dev/null || JENNAH_REAPED=1
  done
  finish "$JENNAH_CODE"
}

# The first act. A zombie's or another process's pid is told by its start time, a pid before a reboot by the boot id.
take_link() {
  if [ -r "/proc/$$/stat" ]; then
    read -r JENNAH_STAT <"/proc/$$/stat"
    # Field 22 of the whole, the 20th after the name, which may hold blanks and brackets.
    # shellcheck disable=SC2086
    set -- ${JENNAH_STAT##*) }
    JENNAH_START=${20}
  else
    JENNAH_START=$(LC_ALL=C TZ=UTC ps -o lstart= -p $$) || return 1
  fi
  printf 'process %s %s %s %s\n' "$$" "$JENNAH_NONCE" "$JENNAH_BOOT" "$JENNAH_START" 2>/dev/null >"pid.$JENNAH_NONCE" || return 1
  ln "pid.$JENNAH_NONCE" pid 2>/dev/null
}

# Becomes the program. The environment is set last: from then on nothing here depends on it.
run() {
  cd ./home || exit 126
  unset PWD OLDPWD SHLVL _
  JENNAH_I=1
  while [ "$JENNAH_I" -le "$JENNAH_ENV_COUNT" ]; do
    eval "JENNAH_PAIR=\$JENNAH_ENV_$JENNAH_I"
    unset "JENNAH_ENV_$JENNAH_I"
    export "${JENNAH_PAIR?}" || exit 126
    JENNAH_I=$((JENNAH_I + 1))
  done
  unset JENNAH_ENV_COUNT
  exec "$@"
}

# TERM to the whole group, KILL after the grace. The first reason counts.
request_stop() {
  JENNAH_WOKEN=1
  [ -z "$JENNAH_STOP" ] || return 0
  JENNAH_STOP=$1
  # A TERM that nobody announced (an operator's, a shutdown's) ends the program but is no cancel.
  if [ "$1" = cancelled ] && [ ! -e cancel ]; then JENNAH_STOP=terminated; fi
  # Handlers, not '': what is ignored here would be ignored by the program, if it is forked after this.
  trap 'JENNAH_WOKEN=1' TERM ALRM
  true 2>/dev/null >stopping
  kill -s TERM 0
  (sleep "$JENNAH_GRACE" && kill -s USR1 $$) &
}

# Records the end and leaves nothing running, itself included.
finish() {
  trap '' TERM ALRM USR1
  until printf '%s %s\n' "$1" "${JENNAH_STOP:-exited}" 2>/dev/null >exit.new && mv -f exit.new exit 2>/dev/null; do
    # No folder, nobody to tell.
    [ -e intent ] || break
    sleep 1
  done
  kill -s KILL 0
}

# One line, so that all of it is read before any of it runs: the file may be replaced meanwhile.
main "$@"; exit 1
