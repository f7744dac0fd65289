import assert from "node:assert/strict";
import { test } from "node:test";
import { Unreachable } from "./unreachable.ts";

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
