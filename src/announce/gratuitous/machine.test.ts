import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { hex } from "../../bytes/hex.ts";
import { address, formatAddress } from "../../net/address.ts";
import { instant, later, type Instant } from "../../time/instant.ts";
import { deadline, INITIAL_STATE, step, type Event, type Place, type State } from "./machine.ts";

const MAC = hex("0200000000c9");

function place(text: string, ifindex = 2, mac = MAC): Place {
  return { address: address(text), ifindex, mac };
}

type Step = readonly [at: number, event: Event];

/** Runs the events at their times, waking the machine whenever it asks; answers `time address/ifindex` of all it sends. */
function run(steps: readonly Step[], until = 20_000): readonly string[] {
  const sent: string[] = [];
  let state: State = INITIAL_STATE;
  const feed = (event: Event, now: Instant): void => {
    const [next, places] = step(state, event, now);
    state = next;
    for (const { address: a, ifindex } of places) sent.push(`${Math.round(now)} ${formatAddress(a)}/${ifindex}`);
  };
  const wakeUntil = (end: Instant): void => {
    for (let at = deadline(state); at !== undefined && at < end; at = deadline(state)) feed({ type: "clock" }, at);
  };
  for (const [at, event] of steps) {
    wakeUntil(instant(at));
    feed(event, instant(at));
  }
  wakeUntil(instant(until));
  return sent;
}

const set = (...places: readonly Place[]): Event => ({ type: "places", places });
const AGAIN: Event = { type: "again" };

describe("an address", () => {
  const rows: { name: string; steps: readonly Step[]; sent: readonly string[] }[] = [
    {
      name: "that was never taken is not announced",
      steps: [
        [0, set()],
        [10, AGAIN],
        [20, { type: "clock" }],
      ],
      sent: [],
    },
    {
      name: "that is taken is announced at once, then every 1.1 s for 5 s",
      steps: [[100, set(place("10.0.0.1"))]],
      sent: ["100 10.0.0.1/2", "1200 10.0.0.1/2", "2300 10.0.0.1/2", "3400 10.0.0.1/2", "4500 10.0.0.1/2"],
    },
    {
      name: "that is still there is not announced anew",
      steps: [
        [0, set(place("10.0.0.1"))],
        [6000, set(place("10.0.0.1"))],
      ],
      sent: ["0 10.0.0.1/2", "1100 10.0.0.1/2", "2200 10.0.0.1/2", "3300 10.0.0.1/2", "4400 10.0.0.1/2"],
    },
    {
      name: "that is given up is not announced any more",
      steps: [
        [0, set(place("10.0.0.1"))],
        [1500, set()],
      ],
      sent: ["0 10.0.0.1/2", "1100 10.0.0.1/2"],
    },
    {
      name: "that is taken again is announced again",
      steps: [
        [0, set(place("10.0.0.1"))],
        [500, set()],
        [600, set(place("10.0.0.1"))],
        [700, set()],
      ],
      sent: ["0 10.0.0.1/2", "600 10.0.0.1/2"],
    },
    {
      name: "is announced on every device it is on",
      steps: [
        [0, set(place("10.0.0.1", 2), place("10.0.0.1", 3))],
        [10, set()],
      ],
      sent: ["0 10.0.0.1/2", "0 10.0.0.1/3"],
    },
    {
      name: "is announced on a device that appears later",
      steps: [
        [0, set(place("10.0.0.1", 2))],
        [1000, set(place("10.0.0.1", 2), place("10.0.0.1", 3))],
        [1050, set()],
      ],
      sent: ["0 10.0.0.1/2", "1000 10.0.0.1/3"],
    },
    {
      name: "is announced anew when the device has another MAC",
      steps: [
        [0, set(place("10.0.0.1"))],
        [1000, set(place("10.0.0.1", 2, hex("0200000000ca")))],
        [1050, set()],
      ],
      sent: ["0 10.0.0.1/2", "1000 10.0.0.1/2"],
    },
    {
      name: "keeps its own rhythm when another is taken",
      steps: [
        [0, set(place("10.0.0.1"))],
        [500, set(place("10.0.0.1"), place("fc00::1"))],
        [1700, set()],
      ],
      sent: ["0 10.0.0.1/2", "500 fc00::1/2", "1100 10.0.0.1/2", "1600 fc00::1/2"],
    },
    {
      name: "is announced again when others may have announced it",
      steps: [
        [0, set(place("10.0.0.1"))],
        [10_000, AGAIN],
        [10_500, set()],
      ],
      sent: [
        "0 10.0.0.1/2",
        "1100 10.0.0.1/2",
        "2200 10.0.0.1/2",
        "3300 10.0.0.1/2",
        "4400 10.0.0.1/2",
        "10000 10.0.0.1/2",
      ],
    },
    {
      name: "is not announced more often for being announced again, but for longer",
      steps: [
        [0, set(place("10.0.0.1"))],
        [1000, AGAIN],
        [1050, AGAIN],
      ],
      sent: [
        "0 10.0.0.1/2",
        "1100 10.0.0.1/2",
        "2200 10.0.0.1/2",
        "3300 10.0.0.1/2",
        "4400 10.0.0.1/2",
        "5500 10.0.0.1/2",
      ],
    },
  ];
  for (const row of rows) test(row.name, () => assert.deepEqual(run(row.steps), row.sent));
});

test("a thousand addresses taken at once are announced in portions, all of them", () => {
  const places = Array.from({ length: 1000 }, (_, index) => place(`10.0.${index >> 8}.${index & 255}`));
  const [first, portion] = step(INITIAL_STATE, set(...places), instant(0));
  assert.ok(portion.length < places.length);
  assert.equal(deadline(first), 0);
  const announced = run([[0, set(...places)]], 500);
  assert.equal(announced.length, 1000);
  assert.equal(new Set(announced).size, 1000);
});

test("the machine sends one address on one device at most once in 1.1 s while it is held, and sleeps in the end", () => {
  const places = fc.subarray([place("10.0.0.1"), place("10.0.0.1", 3), place("fc00::1")]).map((list) => set(...list));
  const events = fc.array(
    fc.tuple(fc.nat({ max: 3000 }), fc.oneof(places, fc.constant(AGAIN), fc.constant<Event>({ type: "clock" }))),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(events, (list) => {
      let state: State = INITIAL_STATE;
      let now = instant(0);
      const last = new Map<string, number>();
      for (const [pause, event] of [...list, ...Array.from({ length: 30 }, () => [1200, { type: "clock" }] as const)]) {
        now = later(now, pause);
        const [next, sent] = step(state, event, now);
        for (const key of [...last.keys()]) if (!next.has(key)) last.delete(key);
        for (const { address: a, ifindex } of sent) {
          const key = `${formatAddress(a)} ${ifindex}`;
          assert.ok(now - (last.get(key) ?? -Infinity) >= 1100, `${key} twice in ${now - (last.get(key) ?? 0)} ms`);
          last.set(key, now);
        }
        state = next;
      }
      assert.equal(deadline(state), undefined);
    }),
  );
});
