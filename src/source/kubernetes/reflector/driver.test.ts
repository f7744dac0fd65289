import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../time/clock.ts";
import type { Request, Response } from "../connection.ts";
import { nextLimit, startReflector, type Change } from "./driver.ts";
import type { Raw } from "./machine.ts";

const item = (name: string): Raw => ({ metadata: { name, resourceVersion: "1" } });
const page = (names: readonly string[], more: string, bytes: number): Response => ({
  status: 200,
  retryAfterSeconds: undefined,
  body: { metadata: { resourceVersion: "7", continue: more }, items: names.map(item) },
  bytes,
});
const refusal: Response = { status: 400, retryAfterSeconds: undefined, body: { message: "field label not supported" } };

interface Told {
  readonly lists: readonly Request[];
  readonly watch: Request;
  readonly changes: readonly Change[];
}

/** Lists with these answers, and what was asked until the watch began. */
async function read(answers: readonly Response[], ahead?: (object: Raw) => Raw): Promise<Told> {
  const lists: Request[] = [];
  const changes: Change[] = [];
  const watching = Promise.withResolvers<Request>();
  const reflector = startReflector({
    connection: {
      request: async (request) => answers[lists.push(request) - 1] ?? refusal,
      watch: async (request) => {
        watching.resolve(request);
        return new Promise(() => {});
      },
    },
    path: "/api/v1/services",
    selectors: { fieldSelector: "spec.type=LoadBalancer" },
    selectorsElse: {},
    ...(ahead === undefined ? {} : { ahead }),
    clock: systemClock,
    random: () => 0,
    onEffects: (news) => changes.push(...news),
  });
  const watch = await watching.promise;
  reflector.stop();
  return { lists, watch, changes };
}

const names = (changes: readonly Change[]): unknown =>
  changes.map((change) => (change.type === "replace" ? change.items.map(({ metadata }) => metadata) : change.type));

test("a list is asked for in pages of about a megabyte, whatever the size of its objects", async () => {
  const megabyte = 1024 * 1024;
  const { lists } = await read([
    page(["a"], "more", 10 * megabyte),
    page(["b"], "yet", megabyte / 4),
    page(["c"], "", 1),
  ]);
  assert.deepEqual(
    lists.map(({ query }) => [query?.["limit"], query?.["continue"]]),
    [
      ["100", undefined],
      ["10", "more"],
      ["40", "yet"],
    ],
  );
});

for (const [limit, bytes, next] of [
  [100, 1024 * 1024, 100],
  [100, 0, 1000],
  [1000, 1, 1000],
  [1, 100 * 1024 * 1024, 1],
] as const)
  test(`after a page of ${limit} objects in ${bytes} bytes the next is of ${next}`, () =>
    assert.equal(nextLimit(limit, bytes), next));

test("what was read ahead of each object of every page takes effect together, in their order", async () => {
  const ahead = (object: Raw): Raw => ({ metadata: (object["metadata"] as Raw)["name"] });
  const { changes } = await read([page(["a", "b"], "more", 1), page(["c"], "", 1)], ahead);
  assert.deepEqual(names(changes), [["a", "b", "c"]]);
});

test("a server that does not know a selector is asked without it, and the watch is as wide as the list", async () => {
  const { lists, watch } = await read([refusal, page(["a"], "", 1)]);
  assert.deepEqual(
    lists.map(({ query }) => query?.["fieldSelector"]),
    ["spec.type=LoadBalancer", undefined],
  );
  assert.equal(watch.query?.["fieldSelector"], undefined);
});

test("a server that knows the selector is also watched through it", async () => {
  const { watch } = await read([page(["a"], "", 1)]);
  assert.equal(watch.query?.["fieldSelector"], "spec.type=LoadBalancer");
});

test("a server that lists by a selector and does not watch by it is asked for the list again without it", async () => {
  const lists: Request[] = [];
  const watches: Request[] = [];
  const wide = Promise.withResolvers<void>();
  const reflector = startReflector({
    connection: {
      request: async (request) => {
        lists.push(request);
        return page(["a"], "", 1);
      },
      watch: async (request) => {
        if (watches.push(request) === 1) return refusal;
        wide.resolve();
        return new Promise(() => {});
      },
    },
    path: "/api/v1/services",
    selectors: { fieldSelector: "spec.type=LoadBalancer" },
    selectorsElse: {},
    clock: systemClock,
    random: () => 0,
    onEffects: () => {},
  });
  await wide.promise;
  reflector.stop();
  const asked = [...lists, ...watches].map(({ query }) => query?.["fieldSelector"]);
  assert.deepEqual(asked, ["spec.type=LoadBalancer", undefined, "spec.type=LoadBalancer", undefined]);
});
