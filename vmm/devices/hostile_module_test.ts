import { equal, match, rejects } from "node:assert/strict";
import { DocumentError } from "../../ffi/errors.ts";
import { loadDeviceType } from "./registry.ts";

async function failure(url: string): Promise<DocumentError> {
  try {
    await loadDeviceType("module", url);
  } catch (error) {
    equal(error instanceof DocumentError, true, String(error));
    equal((error as Error).message.includes("\n"), false, String(error));
    return error as DocumentError;
  }
  throw new Error(`${url} was loaded`);
}

Deno.test("a module that is no URL is refused with what writes one", async () => {
  for (const url of ["", "clock", "./clock.ts", "/clock.ts", "clock.ts"]) {
    const { message, hint } = await failure(url);
    equal(message, `VM document, devices: the module "${url}" is no URL`);
    equal(hint, "`hvsh device FILE.ts` writes one");
  }
});

Deno.test("a module that is a device, a FIFO or a folder is refused and never waited for", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "hvsh-test-" });
  try {
    await new Deno.Command("mkfifo", { args: [`${folder}/fifo`] }).output();
    Deno.writeFileSync(`${folder}/huge.ts`, new Uint8Array());
    Deno.truncateSync(`${folder}/huge.ts`, 2 ** 40);
    for (const path of ["/dev/zero", folder, `${folder}/fifo`, `${folder}/huge.ts`]) {
      const { message } = await failure(`file://${path}`);
      equal(message, `${path}: cannot load the device: it is not a file of a program's size`);
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
  match(
    (await failure("file:///no/such.ts")).message,
    /^\/no\/such\.ts: .* there is no such file$/,
  );
  match((await failure("file:///tmp/%zz")).message, /^file:\/\/\/tmp\/%zz: cannot load/);
});

Deno.test("a module with a mistake is told in one line, with the place in the hint", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "hvsh-test-" });
  const write = (name: string, text: string) => {
    Deno.writeTextFileSync(`${folder}/${name}`, text);
    return `file://${folder}/${name}`;
  };
  try {
    const syntax = await failure(write("syntax.ts", "export default {\n"));
    match(syntax.message, /\/syntax\.ts: cannot load the device: SyntaxError: Unexpected/);
    match(syntax.hint!, /^look at file:.*\/syntax\.ts:\d+:\d+$/);
    const missing = await failure(write("missing.ts", 'import "./nothing.ts";'));
    match(missing.message, /\/missing\.ts: cannot load the device: Module not found/);
    const throws = [["'text'", "text"], ["null", "null"], ["new Error('two\\nlines')", "two"]];
    for (const [i, [value, said]] of throws.entries()) {
      const { message } = await failure(write(`throws${i}.ts`, `throw ${value};`));
      equal(message, `${folder}/throws${i}.ts: cannot load the device: ${said}`);
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("a device whose registers have no size that can be is refused", async () => {
  const device = (size: string) =>
    `data:text/javascript,export default { type: "x", ` +
    `state: class { static size = ${size} }, open() {} };`;
  for (const size of ["-8", "NaN", "1.5", "'8'", "2 ** 60"]) {
    match((await failure(device(size))).message, /has no "state"/);
  }
  for (const size of ["2 ** 24 + 1", "2 ** 45"]) {
    match((await failure(device(size))).message, /"state" has \d+ bytes, a device has 16777216/);
  }
  await loadDeviceType("module", device("0"));
  await rejects(loadDeviceType("module", "data:text/javascript,export default 3"), DocumentError);
});
