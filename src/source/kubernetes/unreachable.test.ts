import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Unreachable, Unwritten } from "./unreachable.ts";

const failure = (code: string, message: string, cause?: unknown): Error =>
  Object.assign(new Error(message, cause === undefined ? {} : { cause }), { code });
const refused = failure("ECONNREFUSED", "connect ECONNREFUSED 192.0.2.1:6443");

const rows: readonly (readonly [string, unknown, string])[] = [
  ["says the reason", new Error("it hung up"), "it hung up"],
  ["says what to look at", refused, "connect ECONNREFUSED 192.0.2.1:6443 (does it run, and is this its address?)"],
  [
    "says what kept the connection from being made, not that the request was called off",
    failure("ERR_HTTP2_STREAM_CANCEL", "The pending stream has been canceled (caused by: …)", refused),
    "connect ECONNREFUSED 192.0.2.1:6443 (does it run, and is this its address?)",
  ],
  [
    "names every address that was tried",
    new AggregateError([failure("ENETUNREACH", "connect ENETUNREACH 2001:db8::1:6443"), refused]),
    "connect ENETUNREACH 2001:db8::1:6443; connect ECONNREFUSED 192.0.2.1:6443 (does the network lead there?)",
  ],
  [
    "asks for the authority where the certificate is of another",
    failure("DEPTH_ZERO_SELF_SIGNED_CERT", "self-signed certificate"),
    "self-signed certificate (does it have another certificate authority or name now?)",
  ],
];
for (const [what, cause, reason] of rows)
  test(`an API server that gives no answer ${what}`, () =>
    assert.equal(new Unreachable(cause).message, `the API server cannot be reached: ${reason}`));

describe("what could not be written", () => {
  const OUTAGE = [{ subject: "Kubernetes", message: "the API server cannot be reached: x; what was last read stays" }];
  const AWAY = { message: "Cannot write it: the API server cannot be reached: x" };
  const REFUSED = { message: "forbidden (403)" };

  test("because it is refused is said at once, unless the API server has just been away", () => {
    assert.deepEqual(new Unwritten().toSay([REFUSED], [], 0), [REFUSED]);
    assert.deepEqual(new Unwritten().toSay([REFUSED], OUTAGE, 0), []);
  });

  test("for want of an answer is said where that lasts and the snapshot says nothing of it", () => {
    const unwritten = new Unwritten();
    const said = (
      [
        [[], 0],
        [OUTAGE, 1500],
        [OUTAGE, 9000],
        [[], 9500],
      ] as const
    ).map(([problems, now]) => unwritten.toSay([AWAY, REFUSED], problems, now).length);
    assert.deepEqual(said, [1, 0, 0, 2]);
  });

  test("for want of an answer now and then is not said", () => {
    const unwritten = new Unwritten();
    for (let now = 0; now < 60_000; now += 2000) {
      assert.deepEqual(unwritten.toSay([AWAY], [], now), []);
      unwritten.toSay([], [], now + 1000);
    }
  });
});
