import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ExplainDocument, ExplainStep } from "../observe/status.ts";
import { combine } from "./explain-together.ts";
import { CommandFailure, EXIT } from "./world.ts";

const step = (name: string, result: ExplainStep["result"], more: Partial<ExplainStep> = {}): ExplainStep => ({
  step: name,
  result,
  found: `${name} ${result}`,
  details: [],
  ...more,
});

function document(node: string, ...steps: readonly ExplainStep[]): ExplainDocument {
  return { service: "default/web", node, steps, reachable: steps.every(({ result }) => result !== "failed") };
}

const ASKS = step("answers", "elsewhere", { ask: "worker2" });

function combined(own: readonly ExplainStep[], there: ExplainDocument | CommandFailure): ExplainDocument {
  const first = document("worker1", ...own);
  return combine(
    first,
    new Map([
      ["worker1", first],
      ["worker2", there],
    ] as const),
  );
}

describe("an explanation of two nodes", () => {
  test("takes from the announcer what only that one knows", () => {
    const { steps, ask } = combined([ASKS], document("worker2", step("answers", "ok")));
    assert.deepEqual(steps, [step("answers", "ok", { details: ["as worker2 sees it"] })]);
    assert.equal(ask, undefined);
  });

  test("takes from the announcer also that a step has to wait there", () => {
    const { steps, ask } = combined([ASKS], document("worker2", step("answers", "skipped")));
    assert.deepEqual([steps[0]?.result, ask], ["skipped", undefined]);
  });

  const ROWS = [
    { own: "ok", theirs: "failed", becomes: "failed" },
    { own: "warning", theirs: "failed", becomes: "failed" },
    { own: "ok", theirs: "warning", becomes: "warning" },
    { own: "warning", theirs: "ok", becomes: "warning" },
    { own: "failed", theirs: "skipped", becomes: "failed" },
  ] as const;
  for (const { own, theirs, becomes } of ROWS)
    test(`says of backends that are ${own} here and ${theirs} at the announcer: ${becomes}`, () => {
      const { steps, reachable } = combined(
        [step("endpoints", own), ASKS],
        document("worker2", step("endpoints", theirs)),
      );
      const [endpoints] = steps;
      assert.equal(endpoints?.result, becomes);
      assert.equal(endpoints.details.includes("as worker2 sees it"), becomes !== own);
      assert.equal(reachable, becomes !== "failed");
    });

  test("leaves alone what all compute alike", () => {
    const { steps } = combined([step("pool", "ok"), ASKS], document("worker2", step("pool", "failed")));
    assert.equal(steps[0]?.result, "ok");
  });

  test("names a node that cannot be asked", () => {
    const { steps, ask } = combined([ASKS], new CommandFailure(EXIT.unreachable, "no answer from worker2"));
    assert.deepEqual(steps[0]?.details, ["no answer from worker2"]);
    assert.equal(ask, "worker2");
  });

  const failed = (ask?: string): ExplainStep => step("peers", "failed", ask === undefined ? {} : { ask });
  const nodes = (...documents: readonly ExplainDocument[]): ExplainDocument => {
    const [first] = documents;
    assert.ok(first !== undefined);
    return combine(first, new Map(documents.map((each) => [each.node, each])));
  };

  test("is well enough where one of the nodes that announce, each for itself, is well", () => {
    const { steps, reachable, ask } = nodes(
      document("a", failed("b")),
      document("b", failed("c")),
      document("c", step("peers", "ok")),
    );
    assert.deepEqual([steps[0]?.result, reachable, ask], ["warning", true, undefined]);
    assert.deepEqual(steps[0]?.details, ["b: peers failed", "c: peers ok"]);
  });

  test("fails where none of them is well", () => {
    const { steps, reachable, ask } = nodes(document("a", failed("b")), document("b", failed("a")));
    assert.deepEqual([steps[0]?.result, reachable, ask], ["failed", false, undefined]);
  });

  test("that begins at a node which does not announce takes the word of those that do", () => {
    const elsewhere = step("peers", "elsewhere", { ask: "b" });
    const { steps, reachable } = nodes(
      document("a", elsewhere),
      document("b", failed("c")),
      document("c", step("peers", "ok")),
    );
    assert.deepEqual([steps[0]?.result, reachable], ["warning", true]);
  });
});
