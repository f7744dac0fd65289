/**
 * Tables under test: wishes in short form, a bench that applies plans a step at a time, and a reader that sees the maps as a
 * packet does. The same contract (any sequence of wishes) is run on plain memory and, in test/kernel, on real maps.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { address, formatAddress } from "../net/address.ts";
import { formatProblem } from "../net/problem.ts";
import type { Backend, Frontend } from "../service/frontends.ts";
import { applyForwarding } from "./apply.ts";
import { emptyPlan, planSize, type Plan } from "./draft.ts";
import { decodeFrontend, loadBackend } from "./encode.ts";
import { filterBits, filterHash } from "./filter.ts";
import { maglevTable } from "./maglev.ts";
import { planForwarding } from "./plan.ts";
import type { ForwardingPorts } from "./ports.ts";
import { QUARANTINE_MS } from "./regions.ts";
import { readTables, type Tables } from "./tables.ts";

export const SEED = 7;
const STATE_NAMES = ["gone", "active", "notReady", "terminating"];

export type Desired = ReadonlyMap<string, readonly Frontend[]>;

export function pod(ip: string, state: Backend["state"] = "active", port = 8080): Backend {
  return { address: address(ip), port, protocol: "TCP", local: ip.startsWith("10.1."), state };
}

export function frontend(ip: string, backends: readonly Backend[], more: Partial<Frontend> = {}): Frontend {
  return {
    service: "default/web",
    address: address(ip),
    port: 80,
    protocol: "TCP",
    algorithm: "maglev",
    externalTrafficPolicy: "Cluster",
    backends,
    ...more,
  };
}

export function wanted(services: Record<string, readonly Frontend[]>): Desired {
  return new Map(Object.entries(services));
}

/** What a packet would meet: read from the bytes alone. Throws where a row points at something that is not there. */
export function served(ports: ForwardingPorts): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [key, value] of ports.frontends.entries()) {
    const row = decodeFrontend(key, value);
    assert.ok(row !== undefined);
    const { slotBase, slotCount, maglevBase, maglevSize, flags } = row.value;
    const slots = Array.from(ports.slots.window(slotBase, slotCount).slice(), (id) => {
      const backend = loadBackend(ports.backends, id);
      assert.ok(backend !== undefined, `slot of ${formatAddress(row.address)} names the unused row ${id}`);
      return `${formatAddress(backend.address)}:${backend.port} ${STATE_NAMES[backend.state]}${backend.local ? " local" : ""}`;
    });
    const algorithm = maglevSize > 0 ? `maglev${maglevSize}` : "random";
    if (maglevSize > 0) {
      const backends = slots.map((slot) => ({ text: `${slot.split(" ")[0]}/${row.protocol}` }));
      assert.deepEqual(
        ports.maglev.window(maglevBase, maglevSize).slice(),
        maglevTable({ seed: SEED, size: maglevSize, backends }),
      );
    }
    assert.ok(
      filterBits(ports.filter, "frontends").includes(filterHash(row.address)),
      "an address without its filter bit",
    );
    result[`${formatAddress(row.address)} ${row.port}/${row.protocol}`] =
      `${algorithm} flags=${flags}: ${slots.join(", ")}`;
  }
  return result;
}

export interface Bench {
  readonly ports: ForwardingPorts;
  tables: Tables;
  now: number;
  to(desired: Desired, options?: { readonly keep?: boolean }): Plan;
  restart(): void;
  problems(): string[];
}

/** Applies each step of a plan alone and looks at the tables after each: no reader may ever meet a dangling reference. */
export function bench(ports: ForwardingPorts): Bench {
  const self: Bench = {
    ports,
    tables: readTables(ports),
    now: 0,
    to: (desired, options = {}) => {
      const plan = planForwarding(self.tables, desired, { seed: SEED, now: self.now, ...options });
      for (const [step, content] of Object.entries<readonly unknown[]>({ ...plan })) {
        applyForwarding({ ...emptyPlan(), [step]: content }, ports, SEED);
        served(ports);
      }
      return plan;
    },
    restart: () => {
      self.tables = readTables(ports);
    },
    problems: () => [...self.tables.services.values()].flatMap((service) => service.problems.map(formatProblem)),
  };
  return self;
}

const state = fc.constantFrom("active" as const, "active" as const, "notReady" as const, "terminating" as const);
const backends = fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 6 }), state), {
  maxLength: 4,
  selector: ([n]) => n,
});
const oneFrontend = fc.record({
  ip: fc.integer({ min: 1, max: 4 }),
  port: fc.constantFrom(80, 81),
  algorithm: fc.constantFrom("maglev" as const, "random" as const),
  backends,
});
const wishes = fc.array(
  fc.record({
    services: fc.dictionary(
      fc.constantFrom("a", "b", "c"),
      fc.uniqueArray(oneFrontend, { maxLength: 2, selector: ({ ip, port }) => `${ip} ${port}` }),
    ),
    wait: fc.constantFrom(0, QUARANTINE_MS),
    restart: fc.boolean(),
  }),
  { minLength: 1, maxLength: 8 },
);

/** The contract. `open` gives empty maps with room for everything; it may give the same ones again. */
export function anySequenceOfWishes(open: () => ForwardingPorts, numRuns: number): void {
  test("any sequence of wishes ends in maps that serve exactly the last one, and planning it again is no work", () => {
    fc.assert(
      fc.property(wishes, (steps) => {
        const b = bench(open());
        for (const step of steps) {
          const entries = Object.entries(step.services).map(([name, list]) => {
            const frontends = list.map(({ ip, port, algorithm, backends: pods }) =>
              frontend(
                `192.168.10.${ip}`,
                pods.map(([n, s]) => pod(`10.0.0.${n}`, s)),
                { port, algorithm },
              ),
            );
            return [name, frontends] as const;
          });
          if (step.restart) b.restart();
          b.now += step.wait;
          const desired: Desired = new Map(entries);
          b.to(desired);
          assert.equal(planSize(b.to(new Map([...desired].map(([name, list]) => [name, [...list]])))), 0);

          const keys = new Set<string>();
          for (const [, list] of entries)
            for (const f of list)
              for (const key of [`${f.port}/TCP`, "0/any"]) keys.add(`${formatAddress(f.address)} ${key}`);
          assert.deepEqual(Object.keys(served(b.ports)).toSorted(), [...keys].toSorted());
        }
        b.to(new Map());
        assert.deepEqual(served(b.ports), {});
        assert.deepEqual(filterBits(b.ports.filter, "frontends"), []);
        assert.equal(b.tables.rows.count, 0);
        assert.equal(b.tables.slots.unused, b.ports.slots.length);
        assert.equal(b.tables.maglev.unused, b.ports.maglev.length);
      }),
      { numRuns },
    );
  });
}
