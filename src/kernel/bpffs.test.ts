import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ensureBpffs, isBpffs } from "./bpffs.ts";
import { enterNamespace } from "./namespace.ts";

const directory = mkdtempSync(join(tmpdir(), "fl-kt-"));
after(() => rmSync(directory, { recursive: true }));

test("a BPF file system is mounted once, and found by what lies below it", () => {
  const mount = join(directory, "bpf");
  assert.equal(ensureBpffs(mount), "mounted");
  try {
    assert.equal(ensureBpffs(mount), "present");
    assert.equal(ensureBpffs(join(mount, "node-1")), "present");
    assert.ok(isBpffs(join(mount, "node-1")));
  } finally {
    execFileSync("umount", [mount]);
  }
  assert.ok(!isBpffs(mount));
});

test("a place that cannot be mounted on is named", () => {
  const file = join(directory, "file");
  writeFileSync(file, "");
  assert.throws(() => ensureBpffs(join(file, "bpf")), { code: "ENOTDIR" });
});

test("a namespace is entered and left again", () => {
  const name = `fl-kt-${process.pid}`;
  const current = (): string => readlinkSync("/proc/thread-self/ns/net");
  const home = current();
  execFileSync("ip", ["netns", "add", name]);
  try {
    const leave = enterNamespace(`/run/netns/${name}`);
    assert.notEqual(current(), home);
    leave();
    assert.equal(current(), home);
  } finally {
    execFileSync("ip", ["netns", "del", name]);
  }
});

test("a file that is no namespace is refused, and the thread stays where it is", () => {
  const home = readlinkSync("/proc/thread-self/ns/net");
  const file = join(directory, "no-namespace");
  writeFileSync(file, "");
  assert.throws(() => enterNamespace(file), { call: "setns", code: "EINVAL", subject: file });
  assert.throws(() => enterNamespace(join(directory, "nothing")), { code: "ENOENT" });
  assert.equal(readlinkSync("/proc/thread-self/ns/net"), home);
});
