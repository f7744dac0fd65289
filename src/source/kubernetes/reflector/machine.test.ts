import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { instant, later } from "../../../time/instant.ts";
import { deadline, initialState, step, type Effect, type Event, type State } from "./machine.ts";

const START = instant(0);

interface Ran {
  readonly state: State;
  readonly effects: readonly Effect[];
}

/** Feeds events, each at its time; effects are those of the last. */
function run(...events: readonly (readonly [number, Event])[]): Ran {
  let ran: Ran = { state: initialState(START), effects: [] };
  for (const [at, event] of events) {
    const [state, effects] = step(ran.state, event, later(START, at), () => 0.5);
    ran = { state, effects };
  }
  return ran;
}

const object = (name: string): Record<string, unknown> => ({ metadata: { name } });
const page = (names: readonly string[], continueToken = ""): Event => ({
  type: "page",
  items: names.map(object),
  resourceVersion: "7",
  continueToken,
});
const begun: readonly [number, Event] = [0, { type: "clock" }];
const listed: readonly (readonly [number, Event])[] = [begun, [1, page(["a"])], [2, { type: "opened" }]];

describe("a reflector", () => {
  it("lists first", () => assert.deepEqual(run(begun).effects, [{ type: "list", continueToken: "" }]));

  it("asks for the next page, and changes nothing until it has all", () => {
    const { effects, state } = run(begun, [1, page(["a"], "more")]);
    assert.deepEqual(effects, [{ type: "list", continueToken: "more" }]);
    assert.equal(state.synced, false);
  });

  it("replaces everything by all pages and watches from there", () => {
    const { effects, state } = run(begun, [1, page(["a"], "more")], [2, page(["b"])]);
    assert.deepEqual(effects, [
      { type: "replace", items: [object("a"), object("b")] },
      { type: "watch", resourceVersion: "7", timeoutSeconds: 300 },
    ]);
    assert.equal(state.synced, true);
  });

  it("begins the list anew when a page came too late", () => {
    const refused: Event = { type: "refused", status: 410, message: "expired" };
    const { state } = run(begun, [1, page(["a"], "more")], [2, refused]);
    const after = run(begun, [1, page(["a"], "more")], [2, refused], [2000, { type: "clock" }]);
    assert.equal(state.synced, false);
    assert.deepEqual(after.effects, [{ type: "list", continueToken: "" }]);
  });

  it("takes up a watch that ended where it was, also by bookmarks", () => {
    const { effects } = run(...listed, [100, { type: "bookmark", resourceVersion: "9" }], [2000, { type: "ended" }]);
    assert.deepEqual(effects, [{ type: "watch", resourceVersion: "9", timeoutSeconds: 300 }]);
  });

  it("pauses when watches end at once", () => {
    const { effects, state } = run(...listed, [3, { type: "ended" }]);
    assert.deepEqual(effects, []);
    assert.match(state.problem ?? "", /ends the watch as soon/);
  });

  it("lists again when the watch's version is too old, and calls it no problem", () => {
    const gone: Event = { type: "refused", status: 410, message: "too old" };
    const { state } = run(...listed, [100, gone]);
    assert.equal(state.problem, undefined);
    assert.equal(state.synced, true);
    assert.deepEqual(run(...listed, [100, gone], [2000, { type: "clock" }]).effects, [
      { type: "list", continueToken: "" },
    ]);
  });

  it("watches again from where it was when the connection is lost", () => {
    const ran = run(...listed, [100, { type: "lost", message: "reset" }], [2000, { type: "clock" }]);
    assert.deepEqual(ran.effects, [{ type: "watch", resourceVersion: "7", timeoutSeconds: 300 }]);
    assert.equal(ran.state.problem, "reset");
    assert.equal(
      run(...listed, [100, { type: "lost", message: "reset" }], [2000, { type: "clock" }], [2001, { type: "opened" }])
        .state.problem,
      undefined,
    );
  });

  it("asks a server that is away about once a second, however long it was away", () => {
    let ran = run(...listed);
    for (let n = 0; n < 200; n += 1) {
      const due = deadline(ran.state) ?? START;
      const [waiting] = step(ran.state, { type: "lost", message: "refused" }, due, () => 0.99);
      const wake = deadline(waiting) ?? START;
      assert.ok(wake - due <= 1000, `pause of ${wake - due} ms`);
      const [state, effects] = step(waiting, { type: "clock" }, wake, () => 0.99);
      ran = { state, effects };
    }
  });

  it("asks anew within a fifth of a second when a watch that lasted is lost, whatever was before", () => {
    const lost: Event = { type: "lost", message: "reset" };
    const before = [100, 2000, 4000, 6000].map((at) => [at, lost] as const);
    const { state } = run(...listed, ...before, [9000, { type: "clock" }], [9001, { type: "opened" }], [20_000, lost]);
    assert.ok((deadline(state) ?? 0) <= 20_200, `${deadline(state)}`);
  });

  it("asks a server that refuses when it is back as soon as one that was never away, then ever later", () => {
    const away = Array.from({ length: 20 }, (_, n) => [100 + n * 1000, { type: "lost", message: "reset" }] as const);
    const refused: Event = { type: "refused", status: 403, message: "no" };
    const [first, second] = [
      run(...listed, ...away, [30_000, refused]),
      run(...listed, ...away, [30_000, refused], [31_000, refused]),
    ];
    assert.ok((deadline(first.state) ?? 0) <= 30_200, `${deadline(first.state)}`);
    assert.ok((deadline(second.state) ?? 0) > 31_200, `${deadline(second.state)}`);
  });

  it("is as patient as the server asks it to be", () => {
    const { state } = run(...listed, [100, { type: "refused", status: 429, message: "busy", retryAfterSeconds: 7 }]);
    assert.equal(deadline(state), later(START, 7100));
  });

  it("ends a watch that is silent beyond its time, and begins anew", () => {
    const silent = run(...listed, [330_001, { type: "clock" }]);
    assert.deepEqual(silent.effects, [{ type: "abort" }]);
    assert.match(silent.state.problem ?? "", /silent/);
    const [, effects] = step(silent.state, { type: "clock" }, deadline(silent.state) ?? START, () => 0.5);
    assert.equal(effects[0]?.type, "watch");
  });

  const explained: readonly (readonly [number, RegExp])[] = [
    [401, /does not know us/],
    [403, /give this program the role/],
    [404, /install the custom resource definitions/],
    [500, /answers 500/],
  ];
  for (const [status, words] of explained)
    it(`says what to do about ${status}`, () => {
      const { state } = run(begun, [1, { type: "refused", status, message: "no" }]);
      assert.match(state.problem ?? "", words);
      assert.equal(state.synced, false);
    });

  it("hands on what changes", () => {
    const added: Event = { type: "changed", object: object("b"), resourceVersion: "8" };
    const removed: Event = { type: "deleted", object: object("a"), resourceVersion: "9" };
    assert.deepEqual(run(...listed, [5, added]).effects, [{ type: "put", object: object("b") }]);
    assert.deepEqual(run(...listed, [5, removed]).effects, [{ type: "remove", object: object("a") }]);
  });
});
