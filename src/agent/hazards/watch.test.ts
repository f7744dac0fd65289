import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { initialState } from "../state.ts";
import { memoryMaps } from "../world.fixture.ts";
import { startHazardWatch, type HazardWatch } from "./watch.ts";

interface Watched {
  readonly watch: HazardWatch;
  /** When it looked, in milliseconds; with `!` where the segments were asked. */
  readonly looks: readonly string[];
  readonly state: ReturnType<typeof initialState>;
  readonly pass: (milliseconds: number) => Promise<void>;
}

function watching(context: TestContext, answer: () => Promise<boolean> = async () => false): Watched {
  let now = 0;
  context.mock.method(performance, "now", () => now);
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const state = initialState({ node: "me", version: "0", maps: memoryMaps() });
  state.placed = [];
  state.lastPass = { at: new Date(0), milliseconds: 1, operations: 0 };
  const looks: string[] = [];
  const watch = startHazardWatch({
    state,
    log: (event, fields) => void looks.push(`${event} ${JSON.stringify(fields)}`),
    everySeconds: 30,
    onChange: () => looks.push("changed"),
    look: (asks) => {
      looks.push(`${now}${asks ? "!" : ""}`);
      return answer();
    },
  });
  const pass = async (milliseconds: number): Promise<void> => {
    for (const end = now + milliseconds; now < end;) {
      now += 100;
      context.mock.timers.tick(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { watch, looks, state, pass };
}

describe("a watch for hazards", () => {
  test("looks when the first pass has ended, and every so often", async (context) => {
    const { looks, state, pass } = watching(context);
    state.placed = undefined;
    await pass(2000);
    assert.deepEqual(looks, []);
    state.placed = [];
    await pass(62_000);
    assert.deepEqual(looks, ["2500!", "32500!", "62500!"]);
  });

  test("looks soon after a change, without asking the segments, however many changes follow", async (context) => {
    const { watch, looks, pass } = watching(context);
    await pass(1000);
    for (let n = 0; n < 10; n += 1) {
      watch.soon();
      await pass(500);
    }
    assert.deepEqual(looks, ["500!", "3000", "5000"]);
  });

  test("looks once more when something changed while it looked", async (context) => {
    const held = Promise.withResolvers<boolean>();
    const { watch, looks, pass } = watching(context, () => held.promise);
    await pass(1000);
    watch.soon();
    held.resolve(true);
    await pass(3000);
    assert.deepEqual(looks.slice(0, 3), ["500!", "changed", "3100"]);
  });

  test("goes on after a failure, and not after its end", async (context) => {
    const { watch, looks, pass } = watching(context, () => Promise.reject(new Error("no ip")));
    await pass(31_000);
    watch.stop();
    watch.soon();
    await pass(60_000);
    const failure = 'problem {"message":"Cannot look for hazards","cause":"Error: no ip"}';
    assert.deepEqual(looks, ["500!", failure, "30500!", failure]);
  });
});
