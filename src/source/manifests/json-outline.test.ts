import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { atOnce } from "../../time/slices.ts";
import { NESTING_MAX, outlineOf, type Outline } from "./json-outline.ts";

const outline = (text: string): Outline => atOnce(outlineOf(Buffer.from(text)));

function itemsOf(text: string): readonly string[] {
  const bytes = Buffer.from(text);
  const found = atOnce(outlineOf(bytes));
  assert.equal(found.type, "list");
  const extents = found.type === "list" ? found.extents : [];
  return Array.from({ length: extents.length / 2 }, (_, i) =>
    bytes.subarray(extents[2 * i], extents[2 * i + 1]).toString(),
  );
}

test("the items of a list are found wherever its kind stands, and what is around them is kept", () => {
  assert.deepEqual(itemsOf('{"items":[{"a":1},{"b":[2,3]}],"kind":"List"}'), ['{"a":1}', '{"b":[2,3]}']);
  const found = outline('{"kind":"List","items":[1, 2],"metadata":{}}');
  assert.equal(found.type === "list" ? found.envelope : "", '{"kind":"List","items":[],"metadata":{}}');
});

const texts = [
  { name: "an empty list", text: '{"items":[ ]}', items: [] },
  { name: "brackets in strings", text: '{"items":["]","}{","\\""]}', items: ['"]"', '"}{"', '"\\""'] },
  { name: "backslashes before a quote", text: '{"items":["\\\\","a\\\\\\""]}', items: ['"\\\\"', '"a\\\\\\""'] },
  { name: "a key that only ends like it", text: '{"xitems":[9],"items":[1]}', items: ["1"] },
  { name: "a value that is called so", text: '{"kind":"items","items":[1]}', items: ["1"] },
  { name: "the same key further inside", text: '{"a":{"items":[7]},"items":[1]}', items: ["1"] },
  { name: "a comma too many, which is left to the parser", text: '{"items":[1,]}', items: ["1", ""] },
];
for (const { name, text, items } of texts)
  test(`items are told apart beside ${name}`, () => assert.deepEqual(itemsOf(text), items));

const others = [
  { name: "an object without items", text: '{"kind":"Service"}', type: "single" },
  { name: "items that are no list", text: '{"items":{"a":1}}', type: "single" },
  { name: "items given twice", text: '{"items":[1],"items":[2]}', type: "single" },
  { name: "a list at the top", text: "[1,2]", type: "single" },
  { name: "nothing", text: "", type: "unbalanced" },
  { name: "a text that ends in a list", text: '{"items":[1,', type: "unbalanced" },
  { name: "a text that ends in a string", text: '{"items":["a', type: "unbalanced" },
  { name: "a text that goes on behind its end", text: '{"items":[1]} {"items":[1]}', type: "unbalanced" },
  {
    name: "the deepest that is read",
    text: `{"a":${"[".repeat(NESTING_MAX - 1)}${"]".repeat(NESTING_MAX - 1)}}`,
    type: "single",
  },
  { name: "one level more", text: `{"a":${"[".repeat(NESTING_MAX)}${"]".repeat(NESTING_MAX)}}`, type: "tooDeep" },
];
for (const { name, text, type } of others) test(`${name} is ${type}`, () => assert.equal(outline(text).type, type));

test("of any list, every item is found, byte for byte", () => {
  const layout = fc.constantFrom(undefined, 1, "\t");
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), fc.jsonValue(), layout, (items, other, space) => {
      const text = JSON.stringify({ before: other, items, kind: "List", after: other }, undefined, space);
      assert.deepEqual(
        itemsOf(text).map((item): unknown => JSON.parse(item)),
        JSON.parse(JSON.stringify(items)),
      );
      const found = outline(text);
      if (found.type === "list")
        assert.deepEqual(
          JSON.parse(found.envelope),
          JSON.parse(JSON.stringify({ before: other, items: [], kind: "List", after: other })),
        );
    }),
    { numRuns: 300 },
  );
});

test("any bytes have an outline, and a long text is read with pauses", () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => assert.ok(atOnce(outlineOf(Buffer.from(bytes))).type)));
  const steps = [...outlineOf(Buffer.from(`{"items":[${"1,".repeat(400_000)}1]}`))];
  assert.ok(steps.length >= 12, `${steps.length} pauses`);
});
