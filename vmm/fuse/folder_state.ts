/**
 * What a client knows of a folder, so that it can go on with the folder on another host, or after its
 * server's next start: nodes by their paths, and what is open by its node.
 *
 *     { "flush": true,
 *       "devices": [ device number of a filesystem, … ],
 *       "nodes": [ [nodeid, the folder's nodeid, name, type, lookups], … ],
 *       "handles": [ [fh, nodeid, flags of open(2)], … ] }
 *
 * Names have a character for each byte. A file that is not there any more, or is of another type by now,
 * is left out: the client is told ESTALE, or EBADF for what it has open.
 *
 * @module
 */
import { statName } from "../../ffi/file_at.ts";
import { S, statx } from "../../ffi/file_structs.ts";
import type { Json } from "../../ffi/struct.ts";
import type { Folder } from "./folder.ts";
import { openFolder } from "./folder_directories.ts";
import { handFile, openNode } from "./folder_files.ts";
import type { Inode } from "./inode_table.ts";

/** NAME_MAX. */
const MOST_NAME = 255;

/** A node as it is saved. */
interface SavedNode {
  readonly nodeid: number;
  readonly parent: number;
  readonly name: string;
  readonly type: number;
  readonly lookups: number;
}

/**
 * Says what the client knows.
 *
 * @param folder The folder
 * @returns JSON for {@linkcode restoreFolder}
 */
export function saveFolder(folder: Folder): Json {
  const nodes: Json[] = [];
  for (const { nodeid, parent, name, type, lookups } of folder.inodes.all()) {
    if (parent !== undefined) nodes.push([nodeid, parent.nodeid, name, type, lookups]);
  }
  const handles = folder.handles.all().map(({ fh, inode, flags }) => [fh, inode.nodeid, flags]);
  return { flush: folder.flush, devices: folder.devices.all, nodes, handles };
}

/**
 * Has a folder that nobody uses yet know what it was known for.
 *
 * @param folder The folder
 * @param json What {@linkcode saveFolder} gave, from anywhere; what makes no sense in it is left out
 */
export function restoreFolder(folder: Folder, json: Json): void {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return;
  const { flush, devices, nodes, handles } = json as { [key: string]: Json };
  folder.flush = flush !== false;
  // Files keep their numbers.
  if (Array.isArray(devices)) {
    devices.filter(isNumber).forEach((device) => folder.devices.meet(device));
  }
  const saved = new Map<number, SavedNode>();
  for (const row of rows(nodes)) {
    const node = nodeOf(row);
    if (node !== undefined) saved.set(node.nodeid, node);
  }
  for (const { nodeid } of saved.values()) restoreNode(folder, saved, nodeid);
  for (const [fh, nodeid, flags] of rows(handles)) {
    const inode = isNumber(nodeid) ? folder.inodes.get(nodeid) : undefined;
    if (inode === undefined || !isNumber(fh) || !isNumber(flags) || folder.handles.full) continue;
    if (folder.handles.get(fh) === undefined) reopen(folder, inode, fh, flags);
  }
  folder.inodes.releaseUnused();
}

/** Finds a node's file, and those of the folders above it first. */
function restoreNode(folder: Folder, saved: Map<number, SavedNode>, first: number): void {
  // Each is taken out as it is met: those that lie in one another end the way.
  const way: SavedNode[] = [];
  let nodeid = first;
  for (let node = saved.get(nodeid); node !== undefined; node = saved.get(nodeid)) {
    saved.delete(nodeid);
    way.push(node);
    nodeid = node.parent;
  }
  for (let node = way.pop(); node !== undefined; node = way.pop()) {
    const parent = folder.inodes.get(node.parent);
    if (parent === undefined || parent.type !== S.S_IFDIR || parent.hollow) continue;
    const at = folder.files.descriptor(parent);
    if (at < 0 || statName(at, cString(node.name), folder.stat) < 0) continue;
    const type = folder.stat.getUint16(statx.offsets.stx_mode, true) & S.S_IFMT;
    if (type !== node.type) continue;
    folder.knowAgain(node.nodeid, parent, node.name, node.lookups);
  }
}

function reopen(folder: Folder, inode: Inode, fh: number, flags: number): void {
  if (inode.type === S.S_IFDIR) {
    const fd = inode.hollow ? -1 : openFolder(folder, inode.nodeid);
    if (fd < 0 && !inode.hollow) return;
    // Where in the folder its next entries come from, the client says.
    folder.handles.add(fd, inode, false, fh).position = undefined;
    return;
  }
  const fd = openNode(folder, inode, flags);
  if (fd >= 0) handFile(folder, inode, fd, flags, fh);
}

function nodeOf([nodeid, parent, name, type, lookups]: readonly Json[]): SavedNode | undefined {
  if (!isNumber(nodeid) || !isNumber(parent) || !isNumber(type) || !isNumber(lookups)) return;
  return isName(name) ? { nodeid, parent, name, type, lookups } : undefined;
}

/** One component, which leads no further than to what is in a folder. */
function isName(name: Json | undefined): name is string {
  return typeof name === "string" && name.length > 0 && name.length <= MOST_NAME &&
    name !== "." && name !== ".." && !/[/\0\u0100-\uffff]/.test(name);
}

function isNumber(json: Json | undefined): json is number {
  return Number.isSafeInteger(json) && (json as number) >= 0;
}

function rows(json: Json | undefined): (readonly Json[])[] {
  return Array.isArray(json) ? json.filter((row) => Array.isArray(row)) : [];
}

function cString(name: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(name.length + 1);
  for (let i = 0; i < name.length; i++) bytes[i] = name.charCodeAt(i);
  return bytes;
}
