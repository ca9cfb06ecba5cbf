/**
 * Where an NBD server listens: `unix:/path`, or the URI of the NBD project
 * (https://github.com/NetworkBlockDevice/nbd/blob/master/doc/uri.md).
 *
 * @module
 */
import { DocumentError } from "../../../ffi/errors.ts";

/** A server's socket and an export's name, empty for the default. */
export interface NbdAddress {
  readonly path: string;
  readonly name: string;
}

/**
 * Parses a server's address.
 *
 * @param text `unix:/path`, or `nbd+unix:///EXPORT?socket=/path`; `nbd://` with a socket is the same
 * @returns Its parts
 * @throws {DocumentError} If it is none, or not of a unix socket
 */
export function parseNbdAddress(text: string): NbdAddress {
  const plain = /^unix:(\/.*)$/s.exec(text);
  if (plain !== null) return { path: plain[1]!, name: "" };
  const uri = /^nbd(?:\+unix)?:\/\/[^/?]*(?:\/([^?]*))?\?(.*)$/s.exec(text);
  const path = uri === null ? null : new URLSearchParams(uri[2]!).get("socket");
  const name = decode(uri?.[1] ?? "");
  if (path?.startsWith("/") === true && name !== undefined) return { path, name };
  throw new DocumentError(`nbd: "${text.slice(0, 200)}" is no address of a unix socket`, {
    hint: "nbd is unix:/path, or nbd+unix:///EXPORT?socket=/path",
  });
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
