/**
 * The connections of a socket device: by their two ports, in the line of those that have something for
 * the guest, and in the order in which they are given up. Bounded by how many it takes.
 *
 * @module
 */
import { type Connection, ConnectionState } from "./connection.ts";

/** How many there are at most, those that only still drain included. */
export const MOST_CONNECTIONS = 1023;
/** Ports that clients on the host get, as Firecracker's: above what a guest's programs listen on. */
const FIRST_HOST_PORT = 2 ** 30;
const HOST_PORTS = 2 ** 30;

/** A table of connections. */
export class ConnectionTable {
  readonly #byGuestPort = new Map<number, Map<number, Connection>>();
  readonly #draining = new Set<Connection>();
  readonly #waiting = new Set<Connection>();
  #count = 0;
  #lastHostPort = FIRST_HOST_PORT - 1;
  #first: Connection | undefined;
  #last: Connection | undefined;

  /** How many there are. */
  get size(): number {
    return this.#count + this.#draining.size;
  }

  /**
   * Looks a connection up.
   *
   * @param hostPort The port on the host's side
   * @param guestPort The port on the guest's side
   * @returns The connection, if there is one
   */
  find(hostPort: number, guestPort: number): Connection | undefined {
    return this.#byGuestPort.get(guestPort)?.get(hostPort);
  }

  /**
   * Finds a port for a client on the host.
   *
   * @param guestPort The guest's port that it wants
   * @returns A port of the host that has no connection with it
   */
  freeHostPort(guestPort: number): number {
    do {
      this.#lastHostPort = FIRST_HOST_PORT + (this.#lastHostPort + 1) % HOST_PORTS;
    } while (this.find(this.#lastHostPort, guestPort) !== undefined);
    return this.#lastHostPort;
  }

  /** Takes a connection whose ports are free. */
  add(connection: Connection): void {
    const { hostPort, guestPort } = connection;
    let ofPort = this.#byGuestPort.get(guestPort);
    if (ofPort === undefined) this.#byGuestPort.set(guestPort, ofPort = new Map());
    ofPort.set(hostPort, connection);
    this.#count++;
  }

  /** Closes a connection and forgets it. */
  remove(connection: Connection): void {
    if (!this.#draining.delete(connection)) this.#forget(connection);
    connection.close();
  }

  /** The guest may use its ports again, while the host's socket still gets what waits. */
  drain(connection: Connection): void {
    this.#forget(connection);
    connection.state = ConnectionState.DRAINING;
    this.#draining.add(connection);
  }

  /** Has a connection come in turn, if it has something for the guest. */
  line(connection: Connection): void {
    if (connection.inLine || connection.state >= ConnectionState.DRAINING) return;
    if (!connection.hasPacket) return;
    connection.inLine = true;
    connection.next = undefined;
    if (this.#last === undefined) this.#first = connection;
    else this.#last.next = connection;
    this.#last = connection;
  }

  /** Whether some connection may have something for the guest. */
  get lined(): boolean {
    return this.#first !== undefined;
  }

  /** Takes the first of the line. */
  takeFirst(): Connection | undefined {
    const connection = this.#first;
    if (connection === undefined) return undefined;
    this.#first = connection.next;
    if (this.#first === undefined) this.#last = undefined;
    connection.inLine = false;
    connection.next = undefined;
    return connection;
  }

  /**
   * Has a connection wait for the guest.
   *
   * @param connection The connection
   * @param deadline When it is given up; never before those that wait already
   */
  wait(connection: Connection, deadline: number): void {
    connection.deadline = deadline;
    this.#waiting.add(connection);
  }

  /** The guest has answered. */
  answered(connection: Connection): void {
    connection.deadline = Infinity;
    this.#waiting.delete(connection);
  }

  /** When the first that waits is given up; Infinity for never. */
  get deadline(): number {
    for (const { deadline } of this.#waiting) return deadline;
    return Infinity;
  }

  /** Those whose time has come. */
  late(now: number): Connection[] {
    const late: Connection[] = [];
    for (const connection of this.#waiting) {
      if (connection.deadline > now) break;
      late.push(connection);
    }
    return late;
  }

  /** All of them. */
  all(): Connection[] {
    return [...this.#byGuestPort.values()].flatMap((ofPort) => [...ofPort.values()])
      .concat(...this.#draining);
  }

  #forget(connection: Connection): void {
    const { hostPort, guestPort } = connection;
    const ofPort = this.#byGuestPort.get(guestPort)!;
    ofPort.delete(hostPort);
    if (ofPort.size === 0) this.#byGuestPort.delete(guestPort);
    this.#waiting.delete(connection);
    this.#count--;
  }
}
