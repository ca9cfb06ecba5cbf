/**
 * Folders that a table describes: the table gives the listing, the files, and the text of `help`.
 *
 * @module
 */
import type { Entry, FolderNode, Node } from "./node.ts";
import { textFile } from "./text_file.ts";

/** A row: one file or folder. */
export interface FolderRow<P> {
  /** What it is, in a line, for `help`. */
  readonly help: string;
  /** Whether it is there; always if left out. */
  readonly there?: (place: P) => boolean;
  /** Makes it. */
  readonly node: (place: P) => Node;
}

/** Rows by name, in the order of the listing. */
export type FolderTable<P> = Readonly<Record<string, FolderRow<P>>>;

const FOLDER_MODE = 0o500;
const HELP = "help";
const HELP_LINE = "this text";

/**
 * A folder.
 *
 * @param table What is in it
 * @param place What its files are about
 * @param intro Lines before the table in `help`
 */
export function tableFolder<P>(table: FolderTable<P>, place: P, intro: string): FolderNode {
  const nodes = new Map<string, Node>();
  const rows = () => Object.entries(table).filter(([, { there }]) => there?.(place) ?? true);
  const help = textFile({ read: () => helpText(intro, rows()) });
  return {
    kind: "folder",
    mode: FOLDER_MODE,
    find(name) {
      if (name === HELP) return help;
      const row = Object.hasOwn(table, name) ? table[name] : undefined;
      if (row === undefined || row.there?.(place) === false) return undefined;
      const node = nodes.get(name) ?? row.node(place);
      nodes.set(name, node);
      return node;
    },
    list: () => [
      { name: HELP, kind: "file" },
      ...rows().map(([name, row]): Entry => {
        const node = nodes.get(name) ?? row.node(place);
        nodes.set(name, node);
        return { name, kind: node.kind };
      }),
    ],
  };
}

function helpText(intro: string, rows: readonly [string, { readonly help: string }][]): string {
  const all = [...rows.map(([name, { help }]) => [name, help] as const), [HELP, HELP_LINE]];
  const width = Math.max(...all.map(([name]) => name!.length));
  return `${intro}\n\n${all.map(([name, help]) => `${name!.padEnd(width)}  ${help}\n`).join("")}`;
}

/**
 * A folder of folders, with a `help` of its own.
 *
 * @param source Names, and what has one
 * @param intro The text of `help`
 */
export function namedFolder(
  source: {
    names(): readonly string[] | Promise<readonly string[]>;
    find(name: string): Node | undefined | Promise<Node | undefined>;
  },
  intro: string,
): FolderNode {
  const help = textFile({ read: () => `${intro}\n` });
  return {
    kind: "folder",
    mode: FOLDER_MODE,
    find: (name) => name === HELP ? help : source.find(name),
    list: async () => [
      { name: HELP, kind: "file" },
      ...(await source.names()).map((name): Entry => ({ name, kind: "folder" })),
    ],
  };
}
