import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { address } from "../../net/address.ts";
import { formatPrefix, parsePrefix } from "../../net/prefix.ts";
import { virtualClock } from "../../time/clock.ts";
import { INITIAL_CONTEXT } from "./context.ts";
import { emptyCounters } from "./counters.ts";
import { decodeMessage } from "./message.ts";
import { type Routes, routesByPrefix, type Sender } from "./route.ts";
import { Telling } from "./telling.ts";
import { routesOf } from "./update.ts";

const SENDER: Sender = {
  context: { ...INITIAL_CONTEXT, fourOctetAs: true },
  localAs: 65001,
  nextHops: { IPv4: { address: address("10.0.0.11") } },
};

function routes(...texts: readonly string[]): Routes {
  return routesByPrefix(
    texts.map((text) => {
      const prefix = parsePrefix(text);
      assert.ok(prefix);
      return { prefix };
    }),
  );
}

/** `+192.0.2.1/32`, `-192.0.2.1/32`, `end`. */
function said(bytes: Uint8Array): readonly string[] {
  const decoded = decodeMessage(bytes, SENDER.context);
  assert.ok(decoded.ok && decoded.value.type === "update");
  const { announced, withdrawn, endOfRib } = routesOf(decoded.value);
  if (endOfRib !== undefined) return ["end"];
  return [
    ...announced.map((one) => `+${formatPrefix(one.prefix)}`),
    ...withdrawn.map((one) => `-${formatPrefix(one)}`),
  ];
}

class Rig {
  readonly clock = virtualClock();
  readonly counters = emptyCounters();
  readonly wire = { backlog: 0, sendBytes: (bytes: Uint8Array): void => void this.heard.push(...said(bytes)) };
  heard: string[] = [];
  listens = true;
  complete = true;
  readonly telling = new Telling({
    clock: this.clock,
    counters: this.counters,
    isComplete: () => this.complete,
    restartTimeSeconds: 100,
    audience: () => (this.listens ? { wire: this.wire, sender: SENDER } : undefined),
  });

  /** Since it was asked last. */
  take(): readonly string[] {
    const { heard } = this;
    this.heard = [];
    return heard;
  }
}

describe("a peer is told", () => {
  test("what there is, then that this is all", () => {
    const rig = new Rig();
    rig.telling.announce(routes("192.0.2.1/32"));
    assert.deepEqual(rig.take(), ["+192.0.2.1/32", "end"]);
    assert.equal(rig.counters.sent.update, 2);
  });

  test("everything again in the next session", () => {
    const rig = new Rig();
    rig.telling.announce(routes("192.0.2.1/32"));
    rig.telling.lost();
    rig.take();
    rig.telling.flush();
    assert.deepEqual(rig.take(), ["+192.0.2.1/32", "end"]);
  });

  test("nothing while nobody listens, and nothing more than it reads", () => {
    const rig = new Rig();
    rig.listens = false;
    rig.telling.announce(routes("192.0.2.1/32"));
    assert.deepEqual(rig.take(), []);
    rig.listens = true;
    rig.wire.backlog = 2 << 20;
    rig.telling.flush();
    assert.deepEqual(rig.take(), []);
    rig.wire.backlog = 0;
    rig.telling.flush();
    assert.deepEqual(rig.take(), ["+192.0.2.1/32", "end"]);
  });

  test("that this is all no later than three quarters of the time for which it keeps what it knew", () => {
    const rig = new Rig();
    rig.complete = false;
    rig.telling.announce(routes("192.0.2.1/32"));
    rig.clock.advance(74_999);
    assert.deepEqual(rig.take(), ["+192.0.2.1/32"]);
    rig.clock.advance(1);
    assert.deepEqual(rig.take(), ["end"]);
    assert.equal(rig.counters.faults["endOfRibDeferralOver"], 1);
  });

  test("not even then when the session was given up for good", () => {
    const rig = new Rig();
    rig.complete = false;
    rig.telling.announce(routes("192.0.2.1/32"));
    rig.take();
    rig.telling.stop();
    rig.clock.advance(100_000);
    assert.deepEqual(rig.take(), []);
  });

  test("once more what it asks for, once, and at most once a second", () => {
    const rig = new Rig();
    rig.telling.announce(routes("192.0.2.1/32"));
    rig.take();
    rig.telling.ask("IPv4");
    assert.deepEqual(rig.take(), ["+192.0.2.1/32"]);
    rig.telling.flush();
    for (let time = 0; time < 5; time += 1) rig.telling.ask("IPv4");
    assert.deepEqual(rig.take(), []);
    rig.clock.advance(1000);
    assert.deepEqual(rig.take(), ["+192.0.2.1/32"]);
    rig.clock.advance(5000);
    rig.telling.flush();
    assert.deepEqual(rig.take(), []);
  });
});

describe("what a peer knows, for who asks", () => {
  test("is told anew in slices, with its end", () => {
    const rig = new Rig();
    rig.telling.announce(routes("192.0.2.1/32", "192.0.2.2/32"));
    const all = [...rig.telling.told()].flat().flatMap(said);
    assert.deepEqual(all, ["+192.0.2.1/32", "+192.0.2.2/32", "end"]);
  });

  for (const count of [1, 5000])
    test(`ends with the session, without an end of it: ${count} routes`, () => {
      const rig = new Rig();
      const many = Array.from({ length: count }, (_, number) => `10.0.${number >> 8}.${number & 255}/32`);
      rig.telling.announce(routes(...many));
      const telling = rig.telling.told();
      assert.ok(telling.next().done !== true);
      rig.telling.lost();
      assert.equal(telling.next().done, true);
    });
});
