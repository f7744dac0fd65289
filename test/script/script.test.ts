import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { formatScript, parseScript, type Step } from "./script.ts";
import { TABLES } from "./tables.ts";
import { World } from "./world.ts";

const FOLDER = join(import.meta.dirname, "scripts");
const REWRITE = process.env["FAIRLEAD_REWRITE"] === "1";

const files = readdirSync(FOLDER).filter((name) => name.endsWith(".script"));

test("there are scripts to run", () => assert.notEqual(files.length, 0));

for (const file of files) {
  const path = join(FOLDER, file);
  const script = parseScript(readFileSync(path, "utf8"));
  test(`script ${file}: ${script.summary}`, () => {
    const world = new World();
    const steps = script.steps.map((step) => run(world, step));
    if (REWRITE) writeFileSync(path, formatScript({ ...script, steps }));
    assert.ok(
      steps.some((step) => step.type === "expect"),
      "A script expects something",
    );
    for (const [index, step] of steps.entries()) {
      const before = script.steps[index];
      if (REWRITE || step.type !== "expect" || before?.type !== "expect") continue;
      assert.equal(step.text, before.text, `step ${index + 1}, table ${step.table}`);
    }
  });
}

/** The step as it came out: for a table, with the text found. */
function run(world: World, step: Step): Step {
  switch (step.type) {
    case "apply":
      world.apply(step.name, step.text);
      return step;
    case "delete":
      world.delete(step.name);
      return step;
    case "restart":
      world.restart();
      return step;
    case "expect": {
      const render = TABLES[step.table];
      assert.ok(render, `There is no table ${step.table}; there are ${Object.keys(TABLES).join(", ")}`);
      return { ...step, text: render(world) };
    }
  }
}
