import assert from "node:assert/strict";
import { spawnSync, type SpawnSyncReturns } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { SystemError } from "./error.ts";
import { IncompatibleMapsError, loadObject } from "./object.ts";
import { objectPath, openSandbox } from "./sandbox.fixture.ts";
import { testRun } from "./test-run.ts";

const sandbox = openSandbox();
after(() => sandbox[Symbol.dispose]());

const FIXTURE = objectPath("fixture");
const packet = new Uint8Array(64);
const bytes = (...words: number[]): Uint8Array => new Uint8Array(Uint32Array.from(words).buffer);

test("constants are what was asked for, and as compiled where nothing was", () => {
  using asked = loadObject({ path: FIXTURE, rodata: { answer: 40, short_answer: 5 } });
  using compiled = loadObject({ path: FIXTURE });
  assert.equal(testRun(asked.program("fixture_xdp"), packet).data[0], 45);
  assert.equal(testRun(compiled.program("fixture_xdp"), packet).data[0], 3);
});

for (const { name, rodata, message } of [
  { name: "a constant that does not exist", rodata: { question: 1 }, message: /has no constant "question"/ },
  { name: "a constant that is too large", rodata: { short_answer: 65536 }, message: /has 16 bits; 65536 does not fit/ },
  { name: "a negative constant", rodata: { answer: -1 }, message: /has 32 bits; -1 does not fit/ },
]) {
  test(`${name} is refused before anything is loaded`, () => {
    assert.throws(() => loadObject({ path: FIXTURE, rodata }), message);
  });
}

test("two objects that share a pin directory share their maps; one without does not", () => {
  const pinRoot = join(sandbox.pins, "shared");
  using first = loadObject({ path: FIXTURE, pinRoot });
  using second = loadObject({ path: FIXTURE, pinRoot });
  using apart = loadObject({ path: FIXTURE });
  first.map("table").update(bytes(7), bytes(1, 2));
  assert.deepEqual(second.map("table").lookup(bytes(7)), bytes(1, 2));
  assert.equal(apart.map("table").lookup(bytes(7)), undefined);
});

test("maps outlive the object that pinned them", () => {
  const pinRoot = join(sandbox.pins, "outlive");
  const first = loadObject({ path: FIXTURE, pinRoot });
  first.map("table").update(bytes(1), bytes(3, 4));
  first.close();
  using second = loadObject({ path: FIXTURE, pinRoot });
  assert.deepEqual(second.map("table").lookup(bytes(1)), bytes(3, 4));
});

test("an object may take its maps from another instead of from pins", () => {
  using first = loadObject({ path: FIXTURE });
  using second = loadObject({ path: FIXTURE, shareWith: first });
  first.map("table").update(bytes(9), bytes(5, 6));
  assert.deepEqual(second.map("table").lookup(bytes(9)), bytes(5, 6));
});

test("pinned maps of another shape are refused with every difference", () => {
  const pinRoot = join(sandbox.pins, "shape");
  loadObject({ path: FIXTURE, pinRoot }).close();
  const load = (): unknown => loadObject({ path: FIXTURE, pinRoot, maxEntries: { table: 20_000, counted: 3 } });
  assert.throws(load, (error) => {
    assert.ok(error instanceof IncompatibleMapsError);
    assert.deepEqual(error.differences.toSorted(), [
      `${pinRoot}/counted: number of rows is 2, expected 3`,
      `${pinRoot}/table: number of rows is 10000, expected 20000`,
    ]);
    return true;
  });
});

test("a pinned map whose fields lie elsewhere is refused although every size is the same", () => {
  const pinRoot = join(sandbox.pins, "moved");
  loadObject({ path: FIXTURE, pinRoot }).close();
  assert.throws(
    () => loadObject({ path: objectPath("moved"), pinRoot }),
    (error) => {
      assert.ok(error instanceof IncompatibleMapsError);
      assert.deepEqual(error.differences, [
        `${pinRoot}/table: value field "first" is 4 bytes at 0, expected 4 bytes at 4`,
        `${pinRoot}/table: value field "second" is 4 bytes at 4, expected 4 bytes at 0`,
      ]);
      return true;
    },
  );
});

test("a pinned map whose fields lie elsewhere is refused also by a program without CAP_SYS_ADMIN, which cannot say which", () => {
  const load = (name: string, pinRoot: string): SpawnSyncReturns<string> => {
    const script = `import { loadObject } from ${JSON.stringify(join(import.meta.dirname, "object.ts"))};
      loadObject(${JSON.stringify({ path: objectPath(name), pinRoot })}).close();`;
    const node = [process.execPath, "--input-type=module", "--eval", script];
    return spawnSync("setpriv", ["--no-new-privs", "--bounding-set=-sys_admin", ...node], { encoding: "utf8" });
  };
  const pinRoot = join(sandbox.pins, "unprivileged/maps");
  for (const time of ["first", "second"]) assert.equal(load("fixture", pinRoot).stderr, "", time);
  const { status, stderr } = load("moved", pinRoot);
  assert.equal(status, 1);
  assert.match(stderr, /unprivileged\/maps\/table: fields lie elsewhere than expected/);
  // What a program that may look has pinned is known as well.
  const other = join(sandbox.pins, "privileged/maps");
  loadObject({ path: FIXTURE, pinRoot: other }).close();
  assert.match(load("moved", other).stderr, /table: fields lie elsewhere/);
  // But not of one that is there no more.
  for (const name of readdirSync(other)) rmSync(join(other, name));
  assert.equal(load("moved", other).stderr, "");
  assert.match(load("fixture", other).stderr, /table: fields lie elsewhere/);
});

test("a program the verifier refuses is reported with the end of its log and how much was left out", () => {
  assert.throws(
    () => loadObject({ path: objectPath("refused") }),
    (error) => {
      assert.ok(error instanceof SystemError);
      assert.equal(error.code, "EACCES");
      assert.equal(error.call, "bpf_object__load");
      assert.match(error.message, /\(\d+ lines of the verifier log left out\)/);
      assert.match(error.message, /R\d offset is outside of the packet$/);
      assert.ok(error.message.split("\n").length < 30);
      return true;
    },
  );
});

test("only the programs asked for are loaded", () => {
  using object = loadObject({ path: FIXTURE, programs: ["fixture_tc"] });
  assert.deepEqual(
    object.programs.map(({ name }) => name),
    ["fixture_tc"],
  );
  assert.throws(() => loadObject({ path: FIXTURE, programs: ["fixture_other"] }), /has no program "fixture_other"/);
});

test("what an object does not have is named with what it has", () => {
  using object = loadObject({ path: FIXTURE });
  assert.throws(() => object.map("tabel"), /has no map "tabel"; it has .*table/);
  assert.throws(() => object.program("main"), /has no program "main"; it has fixture_xdp/);
});

test("a file that is missing or no object is refused by name", () => {
  const directory = mkdtempSync(join(tmpdir(), "fl-kt-"));
  writeFileSync(join(directory, "text.bpf.o"), "not an object");
  assert.throws(() => loadObject({ path: join(directory, "none.bpf.o") }), {
    code: "ENOENT",
    call: "bpf_object__open_file",
  });
  assert.throws(() => loadObject({ path: join(directory, "text.bpf.o") }), {
    name: "SystemError",
    subject: join(directory, "text.bpf.o"),
  });
  rmSync(directory, { recursive: true });
});
