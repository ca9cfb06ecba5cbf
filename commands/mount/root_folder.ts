/**
 * The root of a mounted tree, and `vms/` in it.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { VmError } from "../../ffi/errors.ts";
import { Capability } from "../../ffi/kvm/ioctl.ts";
import { Kvm } from "../../ffi/kvm/kvm.ts";
import { findVms } from "../live/run_directory.ts";
import { FileError, type FolderNode, type Node } from "./node.ts";
import { type FolderTable, namedFolder, tableFolder } from "./table_folder.ts";
import { flatKeyed, textFile } from "./text_file.ts";
import { vmFolder } from "./vm_folder.ts";
import { type TreeState, VmPlace } from "./vm_place.ts";

const WRITABLE_FOLDER = 0o700;

const INTRO = `Live VMs as files. In vms/ is a folder for each; mkdir makes another one, whose
config.json is written and that runs by \`echo run > ctl\`; rmdir destroys one that
does not run. Each folder has such a text. A write that is refused is explained in
error_log. Files that go on (events, exits, console) end where nothing more is
there for now; opened for reading and writing, \`cat <> events\`, they wait, and
\`tail -f\` follows them.`;

const TABLE: FolderTable<TreeState> = {
  error_log: {
    help: "what was refused lately, with a caret under the word at fault",
    node: ({ errors }) => textFile({ read: () => errors.below() }),
  },
  caps: { help: "what this host's KVM can do, a key a line", node: () => textFile({ read: caps }) },
  vms: { help: "a folder for each VM", node: vmsFolder },
};

/**
 * The tree.
 *
 * @param tree What its files share
 */
export function rootFolder(tree: TreeState): FolderNode {
  return tableFolder(TABLE, tree, INTRO);
}

function caps(): string {
  try {
    using kvm = new Kvm();
    return flatKeyed(Object.fromEntries(
      Object.entries(Capability).map(([name, number]) => [
        name.toLowerCase(),
        kvm.capability(number),
      ]),
    ));
  } catch (error) {
    throw new FileError(Errno.ENODEV, (error as Error).message, { cause: error });
  }
}

interface Opened {
  readonly place: VmPlace;
  readonly folder: FolderNode;
}

function vmsFolder(tree: TreeState): Node {
  const opened = new Map<string, Opened>();
  const open = (name: string): Opened => {
    const known = opened.get(name);
    if (known !== undefined) return known;
    const place = new VmPlace(tree, name);
    const made = { place, folder: vmFolder(place) };
    opened.set(name, made);
    return made;
  };
  const forget = (name: string) => {
    opened.get(name)?.place.disconnect();
    opened.delete(name);
  };
  const find = (name: string): FolderNode | undefined => {
    const { place, folder } = open(name);
    if (place.state !== undefined) return folder;
    forget(name);
    return undefined;
  };
  return {
    ...namedFolder({
      names: () => {
        const live = findVms({ ended: true }).map(({ name }) => name);
        return [...new Set([...live, ...tree.drafts.names])].sort();
      },
      find: (name) => {
        try {
          return find(name);
        } catch (error) {
          if (error instanceof VmError) return undefined; // nothing has such a name
          throw error;
        }
      },
    }, "A folder for each VM; mkdir makes one, rmdir destroys one that does not run"),
    mode: WRITABLE_FOLDER,
    changes: true,
    make(name) {
      try {
        if (find(name) !== undefined) throw new FileError(Errno.EEXIST);
        const { folder } = open(name);
        tree.drafts.make(name);
        return folder;
      } catch (error) {
        if (!(error instanceof VmError)) throw error;
        tree.errors.add(`vms/${name}`, error);
        throw new FileError(Errno.EINVAL, error.message, { cause: error });
      }
    },
    remove(name) {
      if (find(name) === undefined) throw new FileError(Errno.ENOENT);
      const { place } = open(name);
      if (place.live || tree.drafts.isStarting(name)) {
        const error = new FileError(Errno.EBUSY, "It runs", {
          hint: "echo kill > ctl, then rmdir",
        });
        tree.errors.add(`vms/${name}`, error);
        throw error;
      }
      place.directory.takeExit();
      tree.drafts.delete(name);
      forget(name);
    },
  };
}
