import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseAllDocuments } from "yaml";
import { yamlDocuments } from "./yaml-documents.ts";

const PIECES = [
  "---\n",
  "--- ",
  "---\t# x\n",
  "...\n",
  "# note\n",
  "a: 1\n",
  "b: |\n  ---\n  x\n",
  "- ---\n",
  "\n",
  "---x: 1\n",
];

test("a text cut into documents is read as the library reads it whole", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...PIECES), { maxLength: 8 }), (pieces) => {
      const text = pieces.join("");
      const whole = parseAllDocuments(text, { merge: true, prettyErrors: false, logLevel: "silent" });
      const expected = Array.from(whole, (each) => (each.errors.length > 0 ? "fault" : JSON.stringify(each.toJS())));
      const found = Array.from(yamlDocuments(text), (each) => ("fault" in each ? "fault" : JSON.stringify(each.value)));
      assert.deepEqual(found, expected);
    }),
    { numRuns: 1000 },
  );
});

test("a fault names the line of the whole text", () => {
  const faults = Array.from(yamlDocuments("a: 1\n---\nb: 2\n---\nc: 3\nd: [\n"), (each) =>
    "fault" in each ? each.fault : "",
  );
  assert.match(faults[2] ?? "", /^is not YAML: line (6|7): /);
});

test("directives belong to the document that follows them", () => {
  const found = Array.from(yamlDocuments("a: 1\n...\n%TAG !x! tag:x,2000:\n---\nb: 2\n"));
  assert.deepEqual(found, [{ value: { a: 1 } }, { value: { b: 2 } }]);
});
