/**
 * What else hvsh uses of its host.
 *
 * @module
 */
import { formatSize } from "../../vmm/size.ts";
import { type Finding, finding, readSetting } from "./finding.ts";

/** A default VM and a little more. */
const ENOUGH_MEMORY = 512 * 2 ** 20;
const OLDEST_DENO = [2, 9] as const;
const THP = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";

/** Looks at the host, KVM apart. */
export function hostFindings(): Finding[] {
  return [
    denoFinding(),
    memoryFinding(),
    hugePagesFinding(),
    shmemFinding(),
    runtimeFinding(),
    deviceFinding("/dev/net/tun", {
      missing: "sudo modprobe tun",
      denied: "run as root, or have a tap made for you: ip tuntap add",
    }),
    deviceFinding("/dev/fuse", {
      missing: "sudo modprobe fuse; `hvsh mount` needs it",
      denied: "sudo chmod 666 /dev/fuse; `hvsh mount` needs it",
    }),
    ...(Deno.uid() === 0
      ? []
      : [programFinding("fusermount3", ["fusermount3"], "only root can `hvsh mount`", "fuse3")]),
    programFinding("passt", ["passt"], "user networks go by libslirp", "passt"),
    programFinding("qemu-nbd", ["qemu-nbd"], "no disks in qcow2 and other formats", "qemu-utils"),
    programFinding("C compiler", ["cc", "gcc", "clang"], "no checks of struct layouts", "gcc"),
    programFinding("QEMU", ["qemu-system-x86_64"], "no benchmarks against it", "qemu-system-x86"),
    programFinding("kvmtool", ["lkvm"], "no benchmarks against it", "kvmtool"),
  ];
}

function denoFinding(): Finding {
  const { deno } = Deno.version;
  const [major = 0, minor = 0] = deno.split(".").map(Number);
  const good = major > OLDEST_DENO[0] || (major === OLDEST_DENO[0] && minor >= OLDEST_DENO[1]);
  const fix = "rm -f ~/.cache/hvsh/deno && deno upgrade";
  return finding(good, "Deno", `${deno} at ${Deno.execPath()}`, { state: "missing", fix });
}

function memoryFinding(): Finding {
  const { available } = Deno.systemMemoryInfo();
  const detail = `${formatSize(Math.floor(available / 2 ** 20) * 2 ** 20)} available`;
  return finding(available >= ENOUGH_MEMORY, "Memory", detail, {
    state: "warn",
    fix: "give VMs less: hvsh create -m 64M",
  });
}

function hugePagesFinding(): Finding {
  const meminfo = readSetting("/proc/meminfo") ?? "";
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(meminfo)?.[1]);
  const free = field("HugePages_Free");
  const size = formatSize(field("Hugepagesize") * 1024);
  return finding(free > 0, "Huge pages", `${free} of ${size} free`, {
    state: "warn",
    fix: "sudo sysctl vm.nr_hugepages=512",
  });
}

function shmemFinding(): Finding {
  const text = readSetting(THP);
  const chosen = /\[(\w+)\]/.exec(text ?? "")?.[1];
  const good = chosen !== undefined && !["never", "deny"].includes(chosen);
  return finding(good, "Huge pages for memfds", chosen ?? "not in this kernel", {
    state: "warn",
    fix: `echo advise | sudo tee ${THP}`,
  });
}

function runtimeFinding(): Finding {
  const folder = Deno.env.get("XDG_RUNTIME_DIR");
  const check = "XDG_RUNTIME_DIR";
  const fix = "log in through systemd, or export XDG_RUNTIME_DIR=/run/user/$(id -u)";
  if (folder === undefined || folder === "") {
    const detail = `not set, so VMs live in /tmp/hvsh-${Deno.uid()}`;
    return { state: "warn", check, detail, fix };
  }
  try {
    const good = Deno.statSync(folder).isDirectory;
    return finding(good, check, folder, { state: "missing", fix });
  } catch {
    return { state: "missing", check, detail: `${folder} is not there`, fix };
  }
}

/** A device that is opened to be used, and what helps if it can't be. */
function deviceFinding(check: string, fixes: { missing: string; denied: string }): Finding {
  try {
    Deno.openSync(check, { read: true, write: true }).close();
    return { state: "ok", check, detail: "opens" };
  } catch (error) {
    const missing = error instanceof Deno.errors.NotFound;
    return {
      state: "warn",
      check,
      detail: missing ? "not there" : "permission denied",
      fix: missing ? fixes.missing : fixes.denied,
    };
  }
}

function programFinding(
  check: string,
  names: readonly string[],
  purpose: string,
  debianPackage: string,
): Finding {
  for (const name of names) {
    const path = findInPath(name);
    if (path !== undefined) return { state: "ok", check, detail: path };
  }
  const fix = `sudo apt install ${debianPackage}, or your system's like`;
  return { state: "warn", check, detail: `not in PATH: ${purpose}`, fix };
}

function findInPath(name: string): string | undefined {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    const path = `${folder === "" ? "." : folder}/${name}`;
    try {
      const { isFile, mode } = Deno.statSync(path);
      if (isFile && ((mode ?? 0) & 0o111) !== 0) return path;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}
