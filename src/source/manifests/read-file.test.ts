import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { readFile, readSmallFile, refusalOf, type FileBytes } from "./read-file.ts";

const folder = mkdtempSync(join(tmpdir(), "fl-read-"));
after(() => rmSync(folder, { recursive: true }));
const path = join(folder, "a.json");
const said = (file: FileBytes): string => ("fault" in file ? file.fault : file.bytes.toString());

test("a file is read as it is", async () => {
  writeFileSync(path, "hello");
  assert.equal(said(readSmallFile(path, statSync(path))), "hello");
  assert.equal(said(await readFile(path, statSync(path))), "hello");
});

test("a file that grew since it was looked at is not read by half", async () => {
  writeFileSync(path, "hello");
  const before = statSync(path);
  appendFileSync(path, " world");
  assert.match(said(readSmallFile(path, before)), /was written to while it was read; it is read again/);
  assert.match(said(await readFile(path, before)), /was written to while it was read/);
});

test("a file that shrank, or was replaced by one as long, is not taken for the other", async () => {
  writeFileSync(path, "hello");
  const before = statSync(path);
  writeFileSync(path, "hell");
  assert.match(said(await readFile(path, before)), /was written to/);
  rmSync(path);
  writeFileSync(join(folder, "other"), "");
  writeFileSync(path, "HELLO");
  assert.match(said(readSmallFile(path, before)), /was written to/);
});

test("a file that is gone, a pipe and a file too large are refused with what was found", () => {
  writeFileSync(path, "hello");
  const before = statSync(path);
  rmSync(path);
  assert.match(said(readSmallFile(path, before)), /cannot be read: ENOENT/);
  execFileSync("mkfifo", [path]);
  assert.equal(refusalOf(statSync(path), 10), "is not a regular file");
  assert.equal(refusalOf(before, 4), "has 5 bytes, more than 4; split it");
  assert.equal(refusalOf(before, 5), undefined);
});
