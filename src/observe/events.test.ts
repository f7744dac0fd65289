import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { event, EVENT_PACKET_BYTES, flow_key, hook, verdict } from "../datapath/abi.generated.ts";
import { viewOf, writeAddress } from "../datapath/encode.ts";
import { address } from "../net/address.ts";
import { decodeEvent, type EventNames } from "./events.ts";
import { hookName, verdictName } from "./verdicts.ts";

const names: EventNames = {
  device: (ifindex) => (ifindex === 2 ? "eth0" : undefined),
  service: (id) => (id === 7 ? "default/web" : undefined),
  backend: (id) => (id === 9 ? "10.244.1.2:8080" : undefined),
  wallClock: (ns) => new Date(Number(ns / 1_000_000n)),
};

function sample(): Uint8Array {
  const bytes = new Uint8Array(event.size);
  const view = viewOf(bytes);
  const { offset } = event;
  view.setBigUint64(offset.time_ns, 1_000_000_000_000n, true);
  writeAddress(view, offset.tuple + flow_key.offset.source, address("192.0.2.7"));
  writeAddress(view, offset.tuple + flow_key.offset.destination, address("192.168.10.0"));
  view.setUint16(offset.tuple + flow_key.offset.source_port, 40_000);
  view.setUint16(offset.tuple + flow_key.offset.destination_port, 80);
  view.setUint8(offset.tuple + flow_key.offset.protocol, 6);
  view.setUint32(offset.ifindex, 2, true);
  view.setUint32(offset.service_id, 7, true);
  view.setUint32(offset.backend_id, 9, true);
  view.setUint16(offset.verdict, verdict.VERDICT_FORWARDED, true);
  view.setUint16(offset.length, 60, true);
  view.setUint8(offset.hook, hook.HOOK_XDP);
  view.setUint8(offset.packet_length, 3);
  bytes.set([0xde, 0xad, 0xbe, 0xef], offset.packet);
  return bytes;
}

describe("decodeEvent", () => {
  test("tells what happened to a packet", () => {
    assert.deepEqual(decodeEvent(sample(), names), {
      time: "1970-01-01T00:16:40.000Z",
      verdict: "forwarded",
      hook: "xdp",
      device: "eth0",
      protocol: "TCP",
      source: "192.0.2.7",
      sourcePort: 40_000,
      destination: "192.168.10.0",
      destinationPort: 80,
      service: "default/web",
      backend: "10.244.1.2:8080",
      length: 60,
      packet: "deadbe",
    });
  });

  test("leaves out a service and backend that nobody knows, and numbers a device that is gone", () => {
    const bytes = sample();
    viewOf(bytes).setUint32(event.offset.service_id, 1, true);
    viewOf(bytes).setUint32(event.offset.backend_id, 1, true);
    viewOf(bytes).setUint32(event.offset.ifindex, 5, true);
    const decoded = decodeEvent(bytes, names);
    assert.equal(decoded?.device, "if5");
    assert.equal(decoded !== undefined && ("service" in decoded || "backend" in decoded), false);
  });

  test("a packet length beyond the sample is cut to the sample", () => {
    const bytes = sample();
    viewOf(bytes).setUint8(event.offset.packet_length, 255);
    assert.equal(decodeEvent(bytes, names)?.packet.length, EVENT_PACKET_BYTES * 2);
  });

  test("bytes that are too few are no event", () => {
    assert.equal(decodeEvent(sample().subarray(0, event.size - 1), names), undefined);
    assert.equal(decodeEvent(new Uint8Array(0), names), undefined);
  });

  test("any bytes are an event or none, and never an exception", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: event.size + 8 }), (bytes) => {
        const decoded = decodeEvent(bytes, { ...names, wallClock: () => new Date(0) });
        assert.equal(decoded === undefined, bytes.length < event.size);
      }),
    );
  });
});

test("every verdict and hook has its own name, in the words of the ABI", () => {
  const numbers = Object.values(verdict).filter((number) => number !== verdict.VERDICT_COUNT);
  assert.equal(new Set(numbers.map(verdictName)).size, numbers.length);
  assert.equal(verdictName(verdict.DROP_NO_ROUTE), "drop_no_route");
  assert.equal(verdictName(verdict.VERDICT_ANSWERED_ARP), "answered_arp");
  assert.equal(hookName(hook.HOOK_NETDEV_INGRESS), "netdev_ingress");
});

test("a number that a newer datapath knows stays a number", () => {
  assert.equal(verdictName(63), "verdict_63");
  assert.equal(hookName(9), "hook_9");
});
