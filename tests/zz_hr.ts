import { HOSTILE_SUBJECTS } from "./hostile_subjects.ts";
import { hostileRings } from "./ring_mutator.ts";
import { TestFolder } from "./sh_line.ts";
for (const s of HOSTILE_SUBJECTS) { await using f = new TestFolder(); const t=performance.now();
console.log(s.name, await hostileRings(s.make(f.path), {transport:"pci", rings:Number(Deno.args[0])}), (performance.now()-t).toFixed(0)); }
