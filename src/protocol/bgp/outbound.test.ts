import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { address } from "../../net/address.ts";
import { formatPrefix, parsePrefix } from "../../net/prefix.ts";
import { formatCommunity } from "./community.ts";
import { INITIAL_CONTEXT } from "./context.ts";
import { decodeMessage } from "./message.ts";
import { Outbound } from "./outbound.ts";
import { type Route, routesByPrefix, type Sender } from "./route.ts";
import { routesOf } from "./update.ts";

const SENDER: Sender = {
  context: { ...INITIAL_CONTEXT, fourOctetAs: true },
  localAs: 65001,
  nextHops: { IPv4: { address: address("10.0.0.11") } },
};
const INTERNAL: Sender = { ...SENDER, context: { ...SENDER.context, external: false } };

function route(text: string): Route {
  const prefix = parsePrefix(text);
  assert.ok(prefix);
  return { prefix };
}

/** `+10.0.0.1/32 pref 0 graceful-shutdown`, `-10.0.0.1/32`, `end`. */
function said(messages: readonly Uint8Array[], sender: Sender = SENDER): string[] {
  return messages.flatMap((bytes) => {
    const decoded = decodeMessage(bytes, sender.context);
    assert.ok(decoded.ok);
    const message = decoded.value;
    if (message.type !== "update") return [message.type];
    const { announced, withdrawn, endOfRib } = routesOf(message);
    if (endOfRib !== undefined) return [`end ${endOfRib}`];
    const pref = message.attributes.find(({ type }) => type === "localPref");
    const communities = message.attributes.find(({ type }) => type === "communities");
    const names =
      communities?.type === "communities"
        ? communities.values.map((value) => formatCommunity({ type: "standard", value }))
        : [];
    const more = [...(pref?.type === "localPref" ? [`pref ${pref.value}`] : []), ...names]
      .map((part) => ` ${part}`)
      .join("");
    return [
      ...announced.map(({ prefix }) => `+${formatPrefix(prefix)}${more}`),
      ...withdrawn.map((prefix) => `-${formatPrefix(prefix)}`),
    ];
  });
}

const A = route("203.0.113.1/32");
const B = route("203.0.113.2/32");

describe("routes on their way out", () => {
  test("are said once, and only what changed is said again", () => {
    const outbound = new Outbound();
    outbound.set(routesByPrefix([A]));
    assert.deepEqual(said(outbound.due(SENDER, false)), ["+203.0.113.1/32"]);
    assert.deepEqual(outbound.due(SENDER, false), []);
    outbound.set(routesByPrefix([A, B]));
    assert.deepEqual(said(outbound.due(SENDER, false)), ["+203.0.113.2/32"]);
    outbound.set(routesByPrefix([B]));
    assert.deepEqual(said(outbound.due(SENDER, false)), ["-203.0.113.1/32"]);
    assert.equal(outbound.updates, 3);
    assert.deepEqual(outbound.announced, { IPv4: 1, IPv6: 0 });
  });

  test("are all said again after the session was lost, End-of-RIB too", () => {
    const outbound = new Outbound();
    outbound.set(routesByPrefix([A]));
    assert.deepEqual(said(outbound.due(SENDER, true)), ["+203.0.113.1/32", "end IPv4"]);
    outbound.lost();
    assert.deepEqual(said(outbound.due(SENDER, true)), ["+203.0.113.1/32", "end IPv4"]);
  });

  test("end with End-of-RIB once, and not before everything is known", () => {
    const outbound = new Outbound();
    assert.deepEqual(outbound.due(SENDER, false), []);
    assert.deepEqual(said(outbound.due(SENDER, true)), ["end IPv4"]);
    outbound.set(routesByPrefix([A]));
    assert.deepEqual(said(outbound.due(SENDER, true)), ["+203.0.113.1/32"]);
  });

  test("become routes of last resort while draining, and what they were afterwards", () => {
    const outbound = new Outbound();
    outbound.set(routesByPrefix([A]));
    outbound.due(INTERNAL, false);
    outbound.draining = true;
    assert.deepEqual(said(outbound.due(INTERNAL, false), INTERNAL), ["+203.0.113.1/32 pref 0 graceful-shutdown"]);
    outbound.set(routesByPrefix([A, B]));
    assert.deepEqual(said(outbound.due(INTERNAL, false), INTERNAL), ["+203.0.113.2/32 pref 0 graceful-shutdown"]);
    outbound.draining = false;
    assert.deepEqual(said(outbound.due(INTERNAL, false), INTERNAL), [
      "+203.0.113.1/32 pref 100",
      "+203.0.113.2/32 pref 100",
    ]);
  });

  test("follow this node's address without being withdrawn, and come back when there is one again", () => {
    const outbound = new Outbound();
    outbound.set(routesByPrefix([A]));
    outbound.due(SENDER, false);
    const moved = { ...SENDER, nextHops: { IPv4: { address: address("10.0.0.12") } } };
    assert.deepEqual(said(outbound.due(moved, false)), ["+203.0.113.1/32"]);
    assert.deepEqual(said(outbound.due({ ...SENDER, nextHops: {} }, false)), ["-203.0.113.1/32"]);
    assert.equal(outbound.withheld.length, 1);
    assert.equal(outbound.pending, 1);
    assert.deepEqual(said(outbound.due(SENDER, false)), ["+203.0.113.1/32"]);
  });

  test("are said again when the peer asks, as they were said", () => {
    const outbound = new Outbound();
    outbound.set(routesByPrefix([A, B]));
    outbound.due(SENDER, false);
    assert.deepEqual(said(outbound.again("IPv4", SENDER)).toSorted(), ["+203.0.113.1/32", "+203.0.113.2/32"]);
    assert.deepEqual(outbound.again("IPv6", SENDER), []);
    assert.deepEqual(outbound.due(SENDER, false), []);
  });
});
