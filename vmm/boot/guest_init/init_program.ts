/**
 * A guest's first process as data: rows, each a system call and where to go on by its result, and a few
 * bytes of machine code that work them off. So there is no program to be built for the guest, and what
 * it does is said, and tested, in one language.
 *
 *     row   op  a1 a2 a3 a4 a5 a6  store  negative zero positive      11 words of 8 bytes
 *
 * `op` is the number of a system call of x86-64 Linux (arch/x86/entry/syscalls/syscall_64.tbl), or one
 * of {@linkcode Op}'s. The result goes to the address `store` unless that is 0, often into an argument of
 * a later row; by its sign the row at one of the last three addresses is next.
 *
 * @module
 */
import type { Struct } from "../../../ffi/struct.ts";
import { type Bytes, sequence } from "../byte_sequence.ts";
import { Elf64Ehdr, Elf64Phdr } from "../elf.ts";
import { assemble } from "../listing.ts";

/** What a row can do besides calling the kernel. */
export const Op = {
  /** Writes the byte a2 to port a1; the result is 0. */
  OUT: -1,
  /** The result is a1 - a2. */
  SUBTRACT: -2,
  /** The result is the signed 32-bit word at address a1. */
  LOAD: -3,
} as const;

/**
 * Works the rows off, from the one at the address in its first instruction. It has no stack, so that a
 * thread needs none either.
 */
const INTERPRETER = assemble(`
  bb 00 00 00 00          | mov ebx, 0
  row: 48 8b 03           | mov rax, [rbx]
  48 8b 7b 08             | mov rdi, [rbx+8]
  48 8b 73 10             | mov rsi, [rbx+16]
  48 8b 53 18             | mov rdx, [rbx+24]
  4c 8b 53 20             | mov r10, [rbx+32]
  4c 8b 43 28             | mov r8, [rbx+40]
  4c 8b 4b 30             | mov r9, [rbx+48]
  48 85 c0                | test rax, rax
  79 20                   | jns call
  48 ff c0                | inc rax
  74 0a                   | je out
  48 ff c0                | inc rax
  74 0e                   | je subtract
  48 63 07                | movsxd rax, dword [rdi]
  eb 13                   | jmp done
  out: 89 fa              | mov edx, edi
  89 f0                   | mov eax, esi
  ee                      | out dx, al
  31 c0                   | xor eax, eax
  eb 0a                   | jmp done
  subtract: 48 89 f8      | mov rax, rdi
  48 29 f0                | sub rax, rsi
  eb 02                   | jmp done
  call: 0f 05             | syscall
  done: 48 8b 4b 38       | mov rcx, [rbx+56]
  48 85 c9                | test rcx, rcx
  74 03                   | je next
  48 89 01                | mov [rcx], rax
  next: 48 85 c0          | test rax, rax
  78 0e                   | js negative
  74 06                   | je zero
  48 8b 5b 50             | mov rbx, [rbx+80]
  eb a5                   | jmp row
  zero: 48 8b 5b 48       | mov rbx, [rbx+72]
  eb 9f                   | jmp row
  negative: 48 8b 5b 40   | mov rbx, [rbx+64]
  eb 99                   | jmp row`);
/** Where its first instruction has the address. */
const FIRST_ROW = 1;

const WORD = 8;
const ROW_BYTES = 11 * WORD;
const MOST_ARGUMENTS = 6;
const STORE = 7;

/** Where x86-64 programs that are not relocated usually lie. */
const BASE = 0x40_0000;
const PAGE = 4096;
const CODE = Elf64Ehdr.size + Elf64Phdr.size;
const ROWS = Math.ceil((CODE + INTERPRETER.length) / WORD) * WORD;
const ELF_IDENT = Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1); // ELFCLASS64, LSB, EV_CURRENT
const ET_EXEC = 2;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PF_RWX = 7;

/** Bytes of the program's memory: those that it begins with, or zeros. */
export interface Place {
  readonly area: "data" | "zeros";
  readonly offset: number;
}

/** A row to go on at; placed once, whether before or after the rows that go there. */
export class Label {
  /** The number of the row. */
  row: number | undefined;
}

/** A result that is an argument of one other row. */
export class Result {
  /** The byte of the rows at which the argument is. */
  argument: number | undefined;
}

/** What a row's argument can be. */
export type Argument = number | bigint | Place | Result;

/** What becomes of a row's result. */
export interface Next {
  /** Where it is kept. */
  readonly store?: Result | Place;
  /** The row after an error, a negated errno; the next one if left out, as for the others. */
  readonly negative?: Label;
  /** The row after 0. */
  readonly zero?: Label;
  /** The row after more than that. */
  readonly positive?: Label;
}

interface Row {
  readonly op: number;
  readonly args: readonly Argument[];
  readonly next: Next;
}

/** A program in the making. */
export class InitProgram {
  readonly #rows: Row[] = [];
  readonly #data: Uint8Array[] = [];
  readonly #pointers: { readonly at: number; readonly to: Place }[] = [];
  #dataLength = 0;
  #zeros = 0;

  /**
   * Adds a row.
   *
   * @param op A system call's number, or an {@linkcode Op}
   * @param args Its arguments; those that are left out are 0
   * @param next What becomes of its result
   */
  call(op: number, args: readonly Argument[], next: Next = {}): void {
    if (args.length > MOST_ARGUMENTS) throw new RangeError(`A row has ${args.length} arguments`);
    for (const [i, argument] of args.entries()) {
      if (!(argument instanceof Result)) continue;
      if (argument.argument !== undefined) throw new RangeError("A result is used twice");
      argument.argument = this.#rows.length * ROW_BYTES + (1 + i) * WORD;
    }
    this.#rows.push({ op, args, next });
  }

  /** Has the next row be a label's. */
  place(label: Label): void {
    if (label.row !== undefined) throw new RangeError("A label is placed twice");
    label.row = this.#rows.length;
  }

  /** Goes on at a label. */
  goTo(label: Label): void {
    this.call(Op.SUBTRACT, [0, 0], { zero: label });
  }

  /** Puts bytes into the program. */
  bytes(bytes: Uint8Array): Place {
    const offset = this.#dataLength;
    const padded = new Uint8Array(Math.ceil(bytes.length / WORD) * WORD);
    padded.set(bytes);
    this.#data.push(padded);
    this.#dataLength += padded.length;
    return { area: "data", offset };
  }

  /**
   * Puts text into the program, with a NUL behind it.
   *
   * @throws {RangeError} If it has one itself
   */
  text(text: string): Place {
    if (text.includes("\0")) throw new RangeError(`Cannot pass on ${JSON.stringify(text)}`);
    return this.bytes(new TextEncoder().encode(`${text}\0`));
  }

  /** Puts the addresses of texts into the program, with a null pointer behind them: argv, envp. */
  texts(texts: readonly string[]): Place {
    const places = texts.map((text) => this.text(text));
    const list = this.bytes(new Uint8Array((places.length + 1) * WORD));
    for (const [i, to] of places.entries()) {
      this.#pointers.push({ at: list.offset + i * WORD, to });
    }
    return list;
  }

  /** Sets memory aside that is 0 at first. */
  zeros(length: number): Place {
    const offset = this.#zeros;
    this.#zeros += Math.ceil(length / WORD) * WORD;
    return { area: "zeros", offset };
  }

  /**
   * Makes the program.
   *
   * @returns A static ELF executable of x86-64
   * @throws {RangeError} If a label has no row, or a result is nobody's argument
   */
  build(): Bytes {
    const rows = new DataView(new ArrayBuffer(this.#rows.length * ROW_BYTES));
    for (const [i, row] of this.#rows.entries()) this.#writeRow(rows, i, row);
    const data = sequence(...this.#data);
    const view = new DataView(data.buffer);
    for (const { at, to } of this.#pointers) {
      view.setBigUint64(at, BigInt(this.#address(to)), true);
    }
    const code = INTERPRETER.slice();
    new DataView(code.buffer).setUint32(FIRST_ROW, BASE + ROWS, true);
    const gap = new Uint8Array(ROWS - CODE - code.length);
    const size = ROWS + rows.byteLength + data.length;
    const headers = sequence(...elfHeaders(size, size + this.#zeros).map((part) => part.bytes()));
    return sequence(headers, code, gap, new Uint8Array(rows.buffer), data);
  }

  #writeRow(rows: DataView, number: number, { op, args, next }: Row): void {
    const at = number * ROW_BYTES;
    const put = (word: number, value: bigint) => rows.setBigInt64(at + word * WORD, value, true);
    put(0, BigInt(op));
    for (const [i, argument] of args.entries()) {
      if (argument instanceof Result) continue;
      const value = typeof argument === "object" ? this.#address(argument) : argument;
      put(1 + i, BigInt(value));
    }
    if (next.store !== undefined) put(STORE, BigInt(this.#storeAddress(next.store)));
    const targets = [next.negative, next.zero, next.positive];
    for (const [i, label] of targets.entries()) {
      const row = label === undefined ? number + 1 : label.row;
      if (row === undefined) throw new RangeError("A label has no row");
      put(STORE + 1 + i, BigInt(BASE + ROWS + row * ROW_BYTES));
    }
  }

  #storeAddress(store: Result | Place): number {
    if (!(store instanceof Result)) return this.#address(store);
    if (store.argument === undefined) throw new RangeError("A result is nobody's argument");
    return BASE + ROWS + store.argument;
  }

  #address({ area, offset }: Place): number {
    const data = BASE + ROWS + this.#rows.length * ROW_BYTES;
    return (area === "data" ? data : data + this.#dataLength) + offset;
  }
}

function elfHeaders(
  size: number,
  sizeInMemory: number,
): [Struct<typeof Elf64Ehdr>, Struct<typeof Elf64Phdr>] {
  const header = new Elf64Ehdr();
  header.e_ident.set(ELF_IDENT);
  header.e_type = ET_EXEC;
  header.e_machine = EM_X86_64;
  header.e_version = 1;
  header.e_entry = BigInt(BASE + CODE);
  header.e_phoff = Elf64Ehdr.size;
  header.e_ehsize = Elf64Ehdr.size;
  header.e_phentsize = Elf64Phdr.size;
  header.e_phnum = 1;
  const segment = new Elf64Phdr();
  segment.p_type = PT_LOAD;
  segment.p_flags = PF_RWX; // results become arguments of rows
  segment.p_vaddr = BigInt(BASE);
  segment.p_paddr = BASE;
  segment.p_filesz = size;
  segment.p_memsz = sizeInMemory;
  segment.p_align = PAGE;
  return [header, segment];
}
