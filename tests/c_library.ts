/**
 * Opens the C library. Its symbols stay open for the life of the process, which Deno's sanitizer
 * would hold against the first test that calls them: tests of what calls C import this for its side
 * effect.
 *
 * @module
 */
import { libc } from "../ffi/libc.ts";

Object.values(libc);
