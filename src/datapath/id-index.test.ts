import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { address, sameAddress, type Address } from "../net/address.ts";
import { endpointHash, IdIndex } from "./id-index.ts";

interface Row {
  readonly address: Address;
  readonly port: number;
}

function indexOf(rows: Map<number, Row>, hash = endpointHash): IdIndex {
  const rowOf = (id: number): Row => rows.get(id) ?? { address: address("0.0.0.0"), port: 0 };
  return new IdIndex(
    (id, wanted, port) => sameAddress(rowOf(id).address, wanted) && rowOf(id).port === port,
    (id) => hash(rowOf(id).address, rowOf(id).port),
  );
}

const addresses = fc
  .integer({ min: 0, max: 30 })
  .map((n) => (n < 20 ? address(`10.0.0.${n}`) : address(`2001:db8::${n}`)));
const steps = fc.array(fc.record({ address: addresses, port: fc.constantFrom(80, 81), put: fc.boolean() }), {
  maxLength: 400,
});

test("any sequence of adding and deleting finds what a Map would find", () => {
  fc.assert(
    fc.property(steps, (list) => {
      const rows = new Map<number, Row>();
      const expected = new Map<string, number>();
      const index = indexOf(rows);
      for (const [i, { address: ip, port, put }] of list.entries()) {
        const key = `${ip.family} ${ip.value} ${port}`;
        if (put && !expected.has(key)) {
          rows.set(i + 1, { address: ip, port });
          index.add(i + 1, ip, port);
          expected.set(key, i + 1);
        } else if (!put) {
          index.delete(ip, port);
          rows.delete(expected.get(key) ?? 0);
          expected.delete(key);
        }
        assert.equal(index.get(ip, port), expected.get(key));
        assert.equal(index.size, expected.size);
      }
      for (const [id, { address: ip, port }] of rows) assert.equal(index.get(ip, port), id);
    }),
  );
});

test("ten thousand are found while they come and go, also where an address has many ports", () => {
  const rows = new Map<number, Row>();
  const index = indexOf(rows);
  const rowOf = (id: number): Row => ({
    address: address(`10.0.${(id >> 8) & 7}.${id & 255}`),
    port: 1000 + (id >> 11),
  });
  for (let id = 1; id <= 10_000; id += 1) {
    rows.set(id, rowOf(id));
    index.add(id, rowOf(id).address, rowOf(id).port);
  }
  for (let id = 1; id <= 10_000; id += 2) {
    index.delete(rowOf(id).address, rowOf(id).port);
    rows.delete(id);
  }
  for (let id = 1; id <= 10_000; id += 1)
    assert.equal(index.get(rowOf(id).address, rowOf(id).port), id % 2 === 0 ? id : undefined);
  assert.equal(index.size, 5000);
});
