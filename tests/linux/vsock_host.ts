/**
 * The host's side of a guest's vsock, by the unix sockets that Firecracker's users know.
 *
 * @module
 */

/**
 * Waits for the guest to connect to a port of the host.
 *
 * @param path The device's socket
 * @param port The port
 * @param answer What is to be answered to all that the guest sends before it closes its half
 * @returns What the guest sent
 */
export async function serveOnce(
  path: string,
  port: number,
  answer: (sent: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  using listener = Deno.listen({ transport: "unix", path: `${path}_${port}` });
  using connection = await listener.accept();
  const sent = await readToEnd(connection);
  await writeAll(connection, answer(sent));
  return sent;
}

/**
 * Connects to a port of the guest, as soon as something listens there.
 *
 * @param path The device's socket
 * @param port The port
 * @param send What to send
 * @returns What the guest sent
 */
export async function reachGuest(path: string, port: number, send: string): Promise<string> {
  for (;;) {
    using connection = await Deno.connect({ transport: "unix", path });
    await writeAll(connection, new TextEncoder().encode(`CONNECT ${port}\n`));
    if (!/^OK \d+\n$/.test(await readLine(connection))) continue; // nobody listens yet
    await writeAll(connection, new TextEncoder().encode(send));
    await connection.closeWrite();
    return new TextDecoder().decode(await readToEnd(connection));
  }
}

/** Byte by byte: what comes behind the line is the guest's. */
async function readLine(connection: Deno.UnixConn): Promise<string> {
  const byte = new Uint8Array(1);
  let line = "";
  while (!line.endsWith("\n") && await connection.read(byte) === 1) {
    line += String.fromCharCode(byte[0]!);
  }
  return line;
}

async function readToEnd(connection: Deno.UnixConn): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  const piece = new Uint8Array(65536);
  for (;;) {
    const length = await connection.read(piece);
    if (length === null) return await new Blob(pieces).bytes();
    pieces.push(piece.slice(0, length));
  }
}

async function writeAll(connection: Deno.UnixConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}
