import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseDuration } from "../../src/time/duration.ts";
import { formatScript, parseScript, type Script, type Step } from "./script.ts";
import { TABLES } from "./tables.ts";
import { World } from "./world.ts";

const FOLDER = join(import.meta.dirname, "scripts");
const REWRITE = process.env["FAIRLEAD_REWRITE"] === "1";

const files = readdirSync(FOLDER).filter((name) => name.endsWith(".script"));

test("there are scripts to run", () => assert.notEqual(files.length, 0));

for (const file of files) {
  const path = join(FOLDER, file);
  const script = parseScript(readFileSync(path, "utf8"));
  const { cases } = script;
  if (REWRITE) writeFileSync(path, formatScript(rewritten(script)));
  else if (cases.length === 0) test(`script ${file}: ${script.summary}`, () => check(script.steps, []));
  else for (const { name, steps } of cases) test(`script ${file}: ${name}`, () => check(steps, script.steps));
}

test("names of cases are unique within their script", () => {
  for (const file of files) {
    const names = parseScript(readFileSync(join(FOLDER, file), "utf8")).cases.map(({ name }) => name);
    assert.deepEqual(names, [...new Set(names)], file);
  }
});

/** Runs the steps in a new world, after those that set it up, and compares every table. */
function check(steps: readonly Step[], before: readonly Step[]): void {
  const found = runAll(steps, before);
  assert.ok(
    found.some((step) => step.type === "expect"),
    "A script expects something",
  );
  for (const [index, step] of found.entries()) {
    const expected = steps[index];
    if (step.type !== "expect" || expected?.type !== "expect") continue;
    assert.equal(step.text, expected.text, `step ${index + 1}, table ${step.table}`);
  }
}

function rewritten(script: Script): Script {
  if (script.cases.length === 0) return { ...script, steps: runAll(script.steps, []) };
  return {
    ...script,
    cases: script.cases.map(({ name, steps }) => ({ name, steps: runAll(steps, script.steps) })),
  };
}

function runAll(steps: readonly Step[], before: readonly Step[]): readonly Step[] {
  const world = new World();
  for (const step of before) run(world, step);
  return steps.map((step) => run(world, step));
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
      world.restart(step.loadBalancerClass);
      return step;
    case "stop":
      world.stop();
      return step;
    case "edit":
      world.edit(step.pool, JSON.parse(step.text) as Parameters<World["edit"]>[1]);
      return step;
    case "wait":
      world.wait(parseDuration(step.duration) ?? assert.fail(`${step.duration} is not a duration`));
      return step;
    case "expect": {
      const render = TABLES[step.table];
      assert.ok(render, `There is no table ${step.table}; there are ${Object.keys(TABLES).join(", ")}`);
      return { ...step, text: render(world) };
    }
  }
}
