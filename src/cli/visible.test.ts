import assert from "node:assert/strict";
import { test } from "node:test";
import { visible, visibleBesideColours, visibleTexts } from "./visible.ts";

const ROWS: readonly { readonly what: string; readonly text: string; readonly shown: string }[] = [
  { what: "plain text of any language", text: "Grüße, 宽 é\nsecond line", shown: "Grüße, 宽 é\nsecond line" },
  { what: "a sequence that clears the screen", text: "a\u001b[2Jb", shown: "a\\x1b[2Jb" },
  { what: "one that begins with C1", text: "\u009b2J", shown: "\\x9b2J" },
  { what: "tabs and carriage returns", text: "a\tb\rc", shown: "a\\x09b\\x0dc" },
  { what: "an override of the direction", text: "a\u202eb", shown: "a\\u202eb" },
];

for (const { what, text, shown } of ROWS) test(`visible: ${what}`, () => assert.equal(visible(text), shown));

test("our colours are left where they may be", () => {
  assert.equal(visibleBesideColours("\u001b[32mwell\u001b[39m\u0007"), "\u001b[32mwell\u001b[39m\\x07");
});

test("every text of a document is made visible, and nothing else is changed", () => {
  const document = { a: ["x\u001b", 1, null, { b: "\u0007" }], c: true };
  assert.deepEqual(JSON.parse(JSON.stringify(document), visibleTexts), {
    a: ["x\\x1b", 1, null, { b: "\\x07" }],
    c: true,
  });
});
