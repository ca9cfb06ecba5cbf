/**
 * A guest that plays a list of register accesses: for what no driver would do, and for the few that a
 * driver does.
 *
 *     const script = new Script();
 *     script.write(4, 0xc000_0000, 7);          // any width, any place
 *     script.until(0x10_0002, 1);               // a 16-bit word of memory
 *     script.exit(42);
 *     Machine.create(scriptDocument(script, devices))
 *
 * @module
 */
import type { VmDocument } from "../vmm/document.ts";
import { flatDocument } from "./flat_machine.ts";
import { listing } from "./guest_code.ts";

/** Bytes of an access. */
export type ScriptWidth = 1 | 2 | 4 | 8;

/** Where a script has memory to itself, below the place of its own list. */
export const SCRIPT_MEMORY = { base: 0x10_0000, size: 0x10_0000 } as const;

const LIST = 0x20_0000;
const RAM = 32 * 2 ** 20;
const RECORD = 24;
const Op = { READ: 0x10, OUT: 0x20, IN: 0x30, UNTIL: 0x40, BACK: 0x41 } as const;
const DEBUG_EXIT = 0xf4;

/** Long mode. A record is `le32 op, count; le64 address, value`. */
const PLAYER = listing(`
  be 00 00 20 00        mov esi, LIST
  8b 06                 mov eax, [rsi]        ; next:
  48 8b 5e 08           mov rbx, [rsi+8]
  48 8b 4e 10           mov rcx, [rsi+16]
  89 da                 mov edx, ebx
  48 83 c6 18           add rsi, 24
  3c 01                 cmp al, 0x01
  74 3e                 je write1
  3c 02                 cmp al, 0x02
  74 3e                 je write2
  3c 04                 cmp al, 0x04
  74 3f                 je write4
  3c 08                 cmp al, 0x08
  74 3f                 je write8
  3c 11                 cmp al, 0x11
  74 40                 je read1
  3c 12                 cmp al, 0x12
  74 40                 je read2
  3c 14                 cmp al, 0x14
  74 41                 je read4
  3c 18                 cmp al, 0x18
  74 41                 je read8
  3c 21                 cmp al, 0x21
  74 42                 je out1
  3c 22                 cmp al, 0x22
  74 43                 je out2
  3c 24                 cmp al, 0x24
  74 48                 je out4
  3c 31                 cmp al, 0x31
  74 4c                 je in1
  3c 32                 cmp al, 0x32
  74 4e                 je in2
  3c 34                 cmp al, 0x34
  74 51                 je in4
  3c 40                 cmp al, 0x40
  74 53                 je until
  3c 41                 cmp al, 0x41
  74 5c                 je back
  0f 0b                 ud2
  88 0b                 mov [rbx], cl         ; write1:
  eb aa                 jmp next
  66 89 0b              mov [rbx], cx         ; write2:
  eb a5                 jmp next
  89 0b                 mov [rbx], ecx        ; write4:
  eb a1                 jmp next
  48 89 0b              mov [rbx], rcx        ; write8:
  eb 9c                 jmp next
  8a 03                 mov al, [rbx]         ; read1:
  eb 98                 jmp next
  66 8b 03              mov ax, [rbx]         ; read2:
  eb 93                 jmp next
  8b 03                 mov eax, [rbx]        ; read4:
  eb 8f                 jmp next
  48 8b 03              mov rax, [rbx]        ; read8:
  eb 8a                 jmp next
  89 c8                 mov eax, ecx          ; out1:
  ee                    out dx, al
  eb 85                 jmp next
  89 c8                 mov eax, ecx          ; out2:
  66 ef                 out dx, ax
  e9 7c ff ff ff        jmp next
  89 c8                 mov eax, ecx          ; out4:
  ef                    out dx, eax
  e9 74 ff ff ff        jmp next
  ec                    in al, dx             ; in1:
  e9 6e ff ff ff        jmp next
  66 ed                 in ax, dx             ; in2:
  e9 67 ff ff ff        jmp next
  ed                    in eax, dx            ; in4:
  e9 61 ff ff ff        jmp next
  66 8b 03              mov ax, [rbx]         ; until:
  66 39 c8              cmp ax, cx
  75 f8                 jne until
  e9 54 ff ff ff        jmp next
  ff 4e ec              dec dword [rsi-20]    ; back: the record's own count
  0f 84 4b ff ff ff     je next
  48 89 de              mov rsi, rbx
  e9 43 ff ff ff        jmp next
`);

/** A list of accesses. */
export class Script {
  #view = new DataView(new ArrayBuffer(RECORD * 1024));
  #records = 0;

  /** Writes memory, or a register that is mapped like it. */
  write(width: ScriptWidth, address: number, value: number | bigint): void {
    this.#add(width, address, value);
  }

  /** Reads such a register. */
  read(width: ScriptWidth, address: number): void {
    this.#add(Op.READ + width, address);
  }

  /** Writes a port. */
  out(width: 1 | 2 | 4, port: number, value: number): void {
    this.#add(Op.OUT + width, port, value);
  }

  /** Reads a port. */
  in(width: 1 | 2 | 4, port: number): void {
    this.#add(Op.IN + width, port);
  }

  /** Waits until a 16-bit word of memory has a value. */
  until(address: number, value: number): void {
    this.#add(Op.UNTIL, address, value);
  }

  /**
   * Does something several times.
   *
   * @param count How often
   * @param work Adds it to this script
   */
  repeat(count: number, work: () => void): void {
    const start = LIST + RECORD * this.#records;
    work();
    this.#add(Op.BACK, start, 0, count);
  }

  /** Ends the VM with a status. */
  exit(status: number): void {
    this.out(1, DEBUG_EXIT, status);
  }

  /** The list. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#view.buffer, 0, RECORD * this.#records);
  }

  #add(op: number, address: number, value: number | bigint = 0, count = 0): void {
    const at = RECORD * this.#records++;
    if (at === this.#view.byteLength) {
      this.#view = new DataView(this.#view.buffer.transfer(2 * at));
    }
    this.#view.setUint32(at, op, true);
    this.#view.setUint32(at + 4, count, true);
    this.#view.setBigUint64(at + 8, BigInt(address), true);
    this.#view.setBigUint64(at + 16, BigInt.asUintN(64, BigInt(value)), true);
  }
}

/**
 * A document of a guest that plays a script.
 *
 * @param script What it plays
 * @param devices Its devices
 * @param more More of the document
 */
export function scriptDocument(
  script: Script,
  devices: readonly Record<string, unknown>[],
  more: Record<string, unknown> = {},
): VmDocument {
  return flatDocument([{ code: PLAYER, base: 0x1_0000 }, { code: script.bytes, base: LIST }], {
    mode: "long",
  }, { memory: [{ type: "ram", size: RAM }], devices, ...more });
}
