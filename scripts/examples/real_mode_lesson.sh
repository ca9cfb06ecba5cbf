#!/bin/sh
# A lesson on real mode, the mode that every PC's CPU wakes up in: a boot sector is written byte by
# byte, stepped through, watched, and changed as it runs. Each command is shown before it runs.
#
#   scripts/examples/real_mode_lesson.sh        on a terminal Enter leads from part to part
#   hvsh scripts/examples/real_mode_lesson.sh   the same in hvsh's own shell
#   hvsh kill lesson                            ends one that was left early
#
# Shows: a guest from a pipe, regs, disasm, step, mem, break, wait --stop, log.
set -e

part() {
  if [ -t 0 ]; then
    printf '\n(Enter)'
    read -r _
  fi
  printf '\n== %s\n\n' "$1"
}

show() {
  printf '$ %s\n' "$*"
  "$@"
}

# \ooo is a byte in octal: every printf has that.
sector() {
  printf '\270\000\270'   # 7c00  mov ax, 0xb800
  printf '\216\300'       # 7c03  mov es, ax
  printf '\061\300'       # 7c05  xor ax, ax
  printf '\216\330'       # 7c07  mov ds, ax
  printf '\061\377'       # 7c09  xor di, di
  printf '\276\037\174'   # 7c0b  mov si, 0x7c1f
  printf '\272\370\003'   # 7c0e  mov dx, 0x3f8
  printf '\254'           # 7c11  lodsb
  printf '\204\300'       # 7c12  test al, al
  printf '\164\010'       # 7c14  jz 0x7c1e
  printf '\046\210\005'   # 7c16  mov [es:di], al
  printf '\107'           # 7c19  inc di
  printf '\107'           # 7c1a  inc di
  printf '\356'           # 7c1b  out dx, al
  printf '\353\363'       # 7c1c  jmp 0x7c11
  printf '\364'           # 7c1e  hlt
  printf 'Hello\n\000'    # 7c1f
  head -c 472 /dev/zero
  printf '\125\252'       # 7dfe  the mark of a boot sector
}

part 'The sector'
cat <<'END'
A PC's firmware reads the first 512 bytes of a disk to address 0x7c00 and jumps there, if the last
two are 55 aa. This script writes such a sector with printf and hands it to hvsh through a pipe;
--paused holds the CPU before its first instruction.

$ sector | hvsh run -d --paused -n lesson -m 1M --flat -
END
sector | hvsh run -d --paused -n lesson -m 1M --flat -
show hvsh mem search lesson 0x55aa

part 'Where the CPU stands'
cat <<'END'
In real mode an address is two 16-bit numbers, SEGMENT:OFFSET, and means SEGMENT * 16 + OFFSET. The
next instruction is the one at CS:IP, which is 0000:7c00 now.

END
show hvsh regs lesson --get cs --get rip
show hvsh disasm lesson -n 5

part 'A segment'
cat <<'END'
The memory of the text screen is at 0xb8000, more than 16 bits can say. As a segment that is 0xb800,
for ES. No instruction puts a number into a segment register, so it goes by way of AX. `step` tells
the instruction that comes next; es.base is what the CPU has worked out.

END
show hvsh step lesson 2
show hvsh regs lesson --get rax --get es --get es.base

part 'Registers'
cat <<'END'
DS is the segment that data are read from, SI the place of the text in it, DI the place on the
screen, and DX the port of the first serial line.

END
show hvsh step lesson 5
show hvsh regs lesson --get ds --get rsi --get rdi --get rdx

part 'The loop'
cat <<'END'
`lodsb` loads the byte at DS:SI into AL and moves SI on by one. `test` sets the zero flag if AL is 0,
which ends the text, and `jz` (or `je`) jumps if that flag is set. Once around the loop, the letter
is on the screen and on the serial line.

END
show hvsh step lesson 8
show hvsh regs lesson --get rax --get rsi --get rdi
show hvsh mem read lesson 0xb8000 1
printf '\n'

part 'A breakpoint'
cat <<'END'
To step the rest would take long. A breakpoint stops the CPU before it writes to the screen, if the
letter is an `o`; `wait --stop` comes back when it stands.

END
show hvsh break lesson 0x7c16 --if al==0x6f
show hvsh resume lesson
show hvsh wait lesson --stop
show hvsh regs lesson --get rax --get rip

part 'Other letters'
cat <<'END'
What the guest has read need not be what it writes: AX becomes an `O`. And the newline at 0x7c24,
which it has not read yet, becomes an exclamation mark.

$ printf ! | hvsh mem write lesson 0x7c24
END
printf ! | hvsh mem write lesson 0x7c24
show hvsh regs lesson --set rax=0x4f

part 'The end'
cat <<'END'
The guest runs on to its `hlt`. Interrupts are off, nothing can wake it any more, and so the VM ends.
`log` has what its serial line said.

END
show hvsh resume lesson
show hvsh log -f lesson
printf '\n'
show hvsh wait lesson
