#!/bin/sh
# A fleet of VMs: started in a loop, listed, held and let go by patterns and filters, told to end, and
# waited for.
#
#   scripts/examples/fleet.sh        in sh
#   hvsh scripts/examples/fleet.sh   in hvsh's own shell
#
# Shows: run -d, list, status, pause, resume, mem, stop, wait; names, patterns and handles in pipes.
set -e

# Counts at 0x500, and ends with the status that somebody puts at 0x504. In real mode at 0x7c00.
counter() {
  printf '\146\377\006\000\005'   # again: inc dword [0x500]
  printf '\240\004\005'           # mov al, [0x504]
  printf '\204\300'               # test al, al
  printf '\164\364'               # jz again
  printf '\346\364'               # out 0xf4, al
}

count() {
  hvsh mem read "$1" 0x500 4 | od -An -tu4
}

for name in web-1 web-2 web-3 db-1 db-2; do
  counter | hvsh run -d -n "$name" -m 1M --flat -
done
hvsh list -o table

echo 'The web servers are held, the databases go on:'
hvsh pause 'web-*' >held
hvsh list -o table
for name in $(hvsh list 'db-*' -o name); do
  echo "$name has counted to $(count "$name")"
done

echo 'Those that are held and are no web-3 go on:'
hvsh list | jq -c 'select(.state == "paused" and .live != "web-3")' | hvsh resume
hvsh status 'web-*' | jq -r '"\(.live) \(.state) \(.memory)"'

echo 'The databases are told to end, each with a status:'
for n in 1 2; do
  printf "\\00$n" | hvsh mem write "db-$n" 0x504
  hvsh wait "db-$n" || echo "db-$n has ended with $?"
done

echo 'The web servers lose their power:'
hvsh stop 'web-*' --timeout 1 | hvsh wait || true
rm held
