#!/bin/sh
# A fuzzer of forks: a VM is stopped where it is about to read its input; each input is tried on a
# copy of it, which shares its memory, starts in milliseconds and is thrown away. It finds a real bug
# in a small guest, keeps the inputs that crash it in ./crashes, and shows where it goes wrong.
#
#   scripts/examples/fork_fuzzer.sh        in sh
#   hvsh scripts/examples/fork_fuzzer.sh   in hvsh's own shell
#
# Shows: break, wait --stop, fork, mem write, resume --wait.
set -e

# In 32-bit protected mode at 0x10000. The input at 0x20000 is made of records: a type, a length, so
# many bytes; type 0 ends it. Each record is copied to a buffer of 16 bytes on the stack.
parser() {
  printf '\277\000\000\002\000'           # 10000  mov edi, 0x20000
  printf '\271\377\377\000\000'           # 10005  mov ecx, 0xffff
  printf '\260\000'                       # 1000a  mov al, 0
  printf '\363\252'                       # 1000c  rep stosb
  printf '\274\000\220\000\000'           # 1000e  mov esp, 0x9000
  printf '\350\004\000\000\000'           # 10013  call parse
  printf '\260\000'                       # 10018  mov al, 0
  printf '\346\364'                       # 1001a  out 0xf4, al         ; ends with status 0
  printf '\125\211\345'                   # 1001c  parse: push ebp; mov ebp, esp
  printf '\203\354\024'                   # 1001f  sub esp, 20
  printf '\307\105\374\000\015\377\012'   # 10022  mov dword [ebp-4], 0x0aff0d00
  printf '\276\000\000\002\000'           # 10029  mov esi, 0x20000
  printf '\254'                           # 1002e  next: lodsb          ; the type
  printf '\204\300'                       # 1002f  test al, al
  printf '\164\017'                       # 10031  jz end
  printf '\254'                           # 10033  lodsb                ; the length
  printf '\074\020'                       # 10034  cmp al, 16
  printf '\177\012'                       # 10036  jg end
  printf '\017\266\310'                   # 10038  movzx ecx, al
  printf '\215\175\354'                   # 1003b  lea edi, [ebp-20]
  printf '\363\244'                       # 1003e  rep movsb
  printf '\353\354'                       # 10040  jmp next
  printf '\201\175\374\000\015\377\012'   # 10042  end: cmp dword [ebp-4], 0x0aff0d00
  printf '\165\002'                       # 10049  jne smashed
  printf '\311\303'                       # 1004b  leave; ret
  printf '\017\013'                       # 1004d  smashed: ud2         ; no IDT: a triple fault
}

# Tries an input on a copy of the VM; its last word goes to the file `verdict`.
try() {
  hvsh fork gold --rm | hvsh mem write 0x20000 "$1" | hvsh resume --wait --timeout 20 >verdict
}

keep() {
  cp input "crashes/byte-$1"
  printf 'byte %s: ' "$1"
  cat verdict
}

mkdir -p crashes
parser >parser.bin
printf '\001\003GET\002\001/\000' >seed

# The original runs until it is about to parse, and stays there.
hvsh create -m 1M | hvsh flat parser.bin@0x10000 --mode protected | hvsh run -d --paused -n gold
hvsh break gold 0x10013
hvsh resume gold | hvsh wait --stop

# Each byte in turn becomes the largest that there is.
for at in $(seq 0 8); do
  cp seed input
  printf '\377' | dd of=input bs=1 seek="$at" conv=notrunc status=none
  try input || keep "$at"
done

# Where does it go wrong? One more copy, with an input that crashed it, stops where it copies more
# than the buffer holds: 16 is compared as a signed number, and 255 is -1.
hvsh fork gold -n crash | hvsh mem write 0x20000 crashes/byte-1
hvsh break crash 0x1003e --if 'rcx > 16'
hvsh resume crash | hvsh wait --stop
hvsh disasm crash -n 1
hvsh regs crash --get rcx --get rsi --get rdi --get rbp

# `wait` ends with the status of what it has waited for: 137 where that was killed.
hvsh kill crash gold | hvsh wait || true
rm parser.bin seed input verdict
