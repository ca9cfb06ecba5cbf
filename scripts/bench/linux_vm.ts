/**
 * hvsh with a Linux guest that carries out commands, one at a time, and does nothing in between.
 *
 * @module
 */
import { cpio } from "../../vmm/boot/cpio.ts";
import { guestPath } from "../setup/guests.ts";
import { VmmProcess } from "./vmm_process.ts";
import type { Workbench } from "./workbench.ts";

/** Of its boot, and of a command: many times what either takes. */
const LIMIT_MILLISECONDS = 180_000;
/** Begins a line that is an answer; the console has others. */
const MARK = "@";
const SCRIPT = `
modprobe -a virtio_pci virtio_blk virtio_net
stty -echo
echo "${MARK}up"
while read -r line; do
  echo "${MARK}$(eval "$line" 2>&1 | tail -n 1)"
done
`;

/** The guest. */
export class LinuxVm implements AsyncDisposable {
  readonly #process: VmmProcess;

  private constructor(process: VmmProcess) {
    this.#process = process;
  }

  /**
   * Boots one.
   *
   * @param bench Where hvsh is
   * @param devices Flags of `hvsh run` for its devices
   * @returns It
   * @throws {Error} With hvsh's words, if it does not come up
   */
  static async start(bench: Workbench, devices: readonly string[]): Promise<LinuxVm> {
    const data = new TextEncoder().encode(SCRIPT);
    const script = await bench.file(cpio([{ path: "script", type: "file", data }]));
    const initrds = [guestPath("initramfs.cpio"), guestPath("devices.cpio"), script];
    const process = new VmmProcess(
      "hvsh",
      [
        ...[bench.hvsh, "run", "-m", "256M", "--kernel", guestPath("vmlinuz"), ...devices],
        ...initrds.flatMap((path) => ["--initrd", path]),
        ...["--cmdline", "quiet loglevel=2 hvsh.do=script"],
      ],
      LIMIT_MILLISECONDS,
      bench.signal,
    );
    const vm = new LinuxVm(process);
    try {
      await vm.#answer();
      return vm;
    } catch (error) {
      await process[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Has it carry out a command.
   *
   * @param command A line for its shell
   * @returns The last line that the command printed
   */
  async ask(command: string): Promise<string> {
    await this.#process.say(command);
    return await this.#answer();
  }

  async #answer(): Promise<string> {
    for (;;) {
      const line = (await this.#process.line()).trimEnd();
      if (line.startsWith(MARK)) return line.slice(MARK.length);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}
