import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { atOnce } from "../../time/slices.ts";
import { decoderAtOnce } from "./decoders.ts";
import { FolderFiles, type Entry } from "./files.ts";

const decodeWords = decoderAtOnce<Entry>((text) => ({
  entries: text.split(" ").map((word) => ({ key: word, digest: word })),
  problems: [],
  broken: false,
}));

function open(t: { after(callback: () => void): void }): { folder: string; files: FolderFiles<Entry> } {
  const folder = mkdtempSync(join(tmpdir(), "fl-files-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return { folder, files: new FolderFiles(folder, decodeWords) };
}

test("what was looked at takes effect when it is applied, not before", async (t) => {
  const { folder, files } = open(t);
  writeFileSync(join(folder, "a.json"), "one two");
  const apply = await files.look("all", () => false);
  assert.deepEqual([...files.byKey.keys()], []);
  assert.equal(atOnce(apply()), true);
  assert.deepEqual([...files.byKey.keys()], ["one", "two"]);
});

test("what was looked at before we wrote the file does not undo what we wrote", async (t) => {
  const { folder, files } = open(t);
  writeFileSync(join(folder, "a.json"), "old");
  const apply = await files.look("all", () => false);
  writeFileSync(join(folder, "a.json"), "new");
  assert.equal(files.readNow("a.json"), true);
  assert.equal(atOnce(apply()), false);
  assert.deepEqual([...files.byKey.keys()], ["new"]);
});

test("a look that is stopped says what it has, and the next one sees the rest", async (t) => {
  const { folder, files } = open(t);
  for (const name of ["a", "b", "c"]) writeFileSync(join(folder, `${name}.json`), name);
  let looks = 0;
  atOnce((await files.look("all", () => (looks += 1) > 1))());
  assert.equal(files.byKey.size, 1);
  atOnce((await files.look("all", () => false))());
  assert.equal(files.byKey.size, 3);
});

test("after any writes of files, entries are found by their keys as if the folder were read for the first time", async (t) => {
  const { folder, files } = open(t);
  const file = fc.constantFrom("a.json", "b.json");
  const words = fc.uniqueArray(fc.constantFrom("one", "two", "three"));
  const step = fc.record({ file, words, ask: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
      for (const { file: name, words: list, ask } of steps) {
        if (list.length === 0) rmSync(join(folder, name), { force: true });
        else writeFileSync(join(folder, name), list.join(" "));
        files.readNow(name);
        if (!ask) continue;
        const fresh = new FolderFiles(folder, decodeWords);
        atOnce((await fresh.look("all", () => false))());
        assert.deepEqual([...files.byKey.keys()].toSorted(), [...fresh.byKey.keys()].toSorted());
      }
    }),
    { numRuns: 100 },
  );
});
