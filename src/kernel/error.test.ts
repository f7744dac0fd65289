import assert from "node:assert/strict";
import { test } from "node:test";
import { checked, SystemError } from "./error.ts";
import { summarizeVerifierLog } from "./verifier-log.ts";

const failure = { call: "bpf_link_create", subject: "eth1", attempt: 'attach XDP program to "eth1"' };

for (const { errno, code, message } of [
  { errno: 16, code: "EBUSY", message: 'Cannot attach XDP program to "eth1": Device or resource busy (EBUSY)' },
  { errno: -16, code: "EBUSY", message: 'Cannot attach XDP program to "eth1": Device or resource busy (EBUSY)' },
  {
    errno: 524,
    code: "ENOTSUPP",
    message: 'Cannot attach XDP program to "eth1": Operation not supported by the kernel (ENOTSUPP)',
  },
  { errno: 4000, code: "E4000", message: 'Cannot attach XDP program to "eth1": Unknown error 4000 (E4000)' },
]) {
  test(`errno ${errno} is ${code}`, () => {
    const error = new SystemError({ ...failure, errno });
    assert.deepEqual([error.code, error.message, error.errno], [code, message, Math.abs(errno)]);
  });
}

test("a result that is no error is handed on", () => {
  assert.equal(checked(0, failure), 0);
  assert.equal(checked(5, failure), 5);
  assert.throws(() => checked(-1, failure), { code: "EPERM", call: "bpf_link_create", subject: "eth1" });
});

test("a short verifier log is kept whole", () => {
  assert.equal(summarizeVerifierLog("one\ntwo\n\n"), "one\ntwo");
  assert.equal(summarizeVerifierLog(""), "");
});

test("of a long verifier log the end is kept, without statistics, and the rest counted", () => {
  const log = [
    ...Array.from({ length: 100 }, (_, i) => `line ${i}`),
    "processed 9 insns (limit 1000000)",
    "verification time 12 usec",
    "stack depth 0",
  ];
  const summary = summarizeVerifierLog(log.join("\n")).split("\n");
  assert.deepEqual(
    [summary[0], summary[1], summary.at(-1), summary.length],
    ["(80 lines of the verifier log left out)", "line 80", "line 99", 21],
  );
});
