import assert from "node:assert/strict";
import { test } from "node:test";
import { atOnce } from "../time/slices.ts";
import { releasesFirst } from "./order.ts";

const rows = [
  { name: "nothing given up", changes: ["a:>x", "b:>y"], order: "a b" },
  { name: "taken after it is given up", changes: ["a:>x", "b:x>y"], order: "b a" },
  { name: "given up without being taken", changes: ["a:>x", "b:y>"], order: "a b" },
  { name: "a chain, written from its end", changes: ["a:>w", "b:w>x", "c:x>y", "d:y>z"], order: "d c b a" },
  { name: "two that share one address give it up", changes: ["a:>x", "b:x>", "c:x>y"], order: "c b a" },
  { name: "two addresses from two Services", changes: ["a:>x,y", "b:x>", "c:y>"], order: "c b a" },
  { name: "an address that is kept is no reason", changes: ["a:x>x,y", "b:z>x"], order: "a b" },
  { name: "of two that give it up, first who had no right to it", changes: ["a:x>y", "b?:x>"], order: "b a" },
  { name: "two that would wait for each other", changes: ["a:x>y", "b:y>x"], order: "b a" },
];

for (const { name, changes, order } of rows)
  test(`order of writes: ${name}`, () => {
    const parsed = changes.map((text) => {
      const [key = "", lists = ""] = text.split(":");
      const [before = [], after = []] = lists.split(">").map((list) => list.split(",").filter((a) => a !== ""));
      return { key: key.replace("?", ""), before, after, established: !key.endsWith("?") };
    });
    assert.equal(
      atOnce(releasesFirst(parsed))
        .map(({ key }) => key)
        .join(" "),
      order,
    );
  });

test("order of writes: a chain of 100,000 Services is no problem", () => {
  const changes = Array.from({ length: 100_000 }, (_, i) => ({
    key: String(i),
    before: [`${i}`],
    after: [`${i + 1}`],
    established: true,
  }));
  assert.equal(atOnce(releasesFirst(changes))[0]?.key, "99999");
});
