#!/bin/sh
# Bisects with a VM for each step: which commit broke what ./t.sh tests in the kernel that it builds? In a
# kernel's own tree that is one line,
#
#     git bisect run sh -c 'make -sj8 bzImage || exit 125
#       hvsh run --timeout 60 arch/x86/boot/bzImage -- ./t.sh'
#
# Here the history is one of a kernel's command line, which needs no compiler:
#
#     scripts/examples/kernel_bisect.sh /boot/vmlinuz-6.1.0-18-amd64 [FLAGS OF hvsh run]
#
# What a kernel that hangs or panics comes to is 124 or 101, bad ones for git, and what hvsh cannot
# tell is 125, by which git leaves a commit out.
set -eu
KERNEL=$(realpath "$1")
shift
FLAGS=$*
export KERNEL FLAGS

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat > t.sh <<'END'
test -e /proc/net/if_inet6
END

git init -q history
cd history
commit() {
  echo "$2" >> cmdline
  git add cmdline
  git -c user.name=hvsh -c user.email=hvsh@localhost commit -q -m "$1"
}
commit 'Say little' quiet
commit 'Reset when it panics' panic=-1
commit 'Do without IPv6' ipv6.disable=1
commit 'Leave sockets unaudited' audit=0
commit 'Name a console' console=ttyS0

git bisect start HEAD HEAD~4
git bisect run sh -c '
  hvsh run --timeout 60 --share .. $FLAGS "$KERNEL" --cmdline "$(xargs < cmdline)" -- \
    sh ../t.sh < /dev/null'
