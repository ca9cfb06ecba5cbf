/**
 * xz and lzma by liblzma compiled to WebAssembly: kernels packed with xz need its x86 BCJ filter.
 *
 * @module
 */
import { ImageError } from "../../ffi/errors.ts";
import {
  autoDecoderInit,
  code,
  copyToWasm,
  end,
  initModule,
  LZMA_BUF_ERROR,
  LZMA_FINISH,
  LZMA_OK,
  LZMA_STREAM_END,
  type LZMAModule,
  resetModule,
  WasmLzmaStream,
} from "node-liblzma/wasm";

/** Bytes that leave liblzma at once. */
const OUTPUT_CHUNK = 1 << 20;
/** Most that the decoder's dictionary may take; Linux uses up to 128 MiB. */
const MEMORY_LIMIT = 192 << 20;

let turn: Promise<unknown> = Promise.resolve();

/**
 * Unpacks an xz or lzma stream.
 *
 * @param input The stream
 * @param options `limit`: most bytes to give; `where`: what messages call the input; `size`: how
 *   many bytes come out, where that is known
 * @returns The unpacked bytes
 * @throws {ImageError} If the stream is damaged or gives more than `limit`
 */
export function decompressLzma(
  input: Uint8Array,
  options: { limit: number; where: string; size?: number },
): Promise<Uint8Array<ArrayBuffer>> {
  // The module is one for all callers and is thrown away after use, since WebAssembly memory never
  // shrinks: so one caller at a time.
  const result = turn.then(async () => {
    const module = await initModule();
    try {
      return decode(module, input, options);
    } catch (cause) {
      if (cause instanceof ImageError) throw cause;
      throw new ImageError(`${options.where}: xz stream cannot be unpacked: ${cause}`, { cause });
    } finally {
      resetModule();
    }
  });
  turn = result.catch(() => {});
  return result;
}

function decode(
  module: LZMAModule,
  input: Uint8Array,
  { limit, where, size }: { limit: number; where: string; size?: number },
): Uint8Array<ArrayBuffer> {
  const stream = new WasmLzmaStream(module);
  autoDecoderInit(stream, MEMORY_LIMIT);
  let output = new Uint8Array(Math.min(limit, size ?? Infinity, input.length * 8));
  let length = 0;
  try {
    stream.setInput(copyToWasm(module, input), input.length);
    const chunk = module._malloc(OUTPUT_CHUNK);
    for (;;) {
      stream.setOutput(chunk, OUTPUT_CHUNK);
      const status = code(stream, LZMA_FINISH);
      const produced = OUTPUT_CHUNK - stream.availOut;
      if (produced > limit - length) {
        throw new ImageError(`${where}: xz gives more than the ${limit} bytes allowed`);
      }
      if (produced > output.length - length) {
        const grown = new Uint8Array(Math.min(limit, Math.max(length + produced, length * 2)));
        grown.set(output.subarray(0, length));
        output = grown;
      }
      output.set(module.HEAPU8.subarray(chunk, chunk + produced), length);
      length += produced;
      if (status === LZMA_STREAM_END) return output.subarray(0, length);
      if (status !== LZMA_OK) {
        const problem = status === LZMA_BUF_ERROR ? "ends too early" : `is damaged (${status})`;
        throw new ImageError(`${where}: xz stream ${problem} after ${length} bytes of output`, {
          hint: "the file is damaged or cut off",
        });
      }
    }
  } finally {
    end(stream);
  }
}
