/**
 * Lint plugin: imports run commands → vmm → ffi, never back, and devices know the bus and memory but
 * not the machine. What is for types only counts too: it is knowledge all the same.
 *
 * @module
 */

/** From the bottom up. A layer may import itself and what is below; `mod.ts` stands on all of them. */
const LAYERS = ["ffi", "vmm", "commands"];
const TEST = /_test\.ts$/;
const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);

/** Says what is wrong with an import, or nothing. */
function objection(importer: string, specifier: string): string | undefined {
  if (!/^\.{0,2}\/|^file:/.test(specifier)) return undefined;
  const target = decodeURIComponent(new URL(specifier, `file://${importer}`).pathname);
  if (!target.startsWith(ROOT)) return `${specifier} lies outside of the project`;
  const from = importer.slice(ROOT.length);
  const to = target.slice(ROOT.length);
  if (from.startsWith("vmm/devices/") && /^vmm\/machine([/_.])/.test(to)) {
    return `A device knows the bus and memory, not the machine (${to})`;
  }
  const layer = LAYERS.indexOf(from.split("/")[0]!);
  if (layer < 0) return undefined;
  const top = to.split("/")[0]!;
  const targetLayer = LAYERS.indexOf(top);
  if (targetLayer < 0) {
    if (TEST.test(from) || top === "deno.json") return undefined;
    return `${from} imports ${to}, which only tests and scripts may do`;
  }
  if (targetLayer <= layer) return undefined;
  return `Imports run commands → vmm → ffi: ${LAYERS[layer]} cannot import ${to}`;
}

const plugin: Deno.lint.Plugin = {
  name: "hvsh",
  rules: {
    "import-direction": {
      create(context) {
        const check = (node: Deno.lint.Node, source: Deno.lint.Node | null) => {
          if (source?.type !== "Literal" || typeof source.value !== "string") return;
          const message = objection(context.filename, source.value);
          if (message !== undefined) context.report({ node, message });
        };
        return {
          ImportDeclaration: (node) => check(node, node.source),
          ExportNamedDeclaration: (node) => check(node, node.source),
          ExportAllDeclaration: (node) => check(node, node.source),
          ImportExpression: (node) => check(node, node.source),
          // How a Worker's module is named: new URL("./worker.ts", import.meta.url)
          'NewExpression[callee.name="URL"]': (node: Deno.lint.NewExpression) => {
            if (node.arguments[1]?.type === "MemberExpression") {
              check(node, node.arguments[0] ?? null);
            }
          },
        };
      },
    },
  },
};

export default plugin;
