import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { address } from "../net/address.ts";
import { parseEndpoint, presentEndpoints, readEndpoints } from "./endpoints.ts";

const good = {
  name: "pod-1",
  namespace: "web",
  addresses: ["10.244.1.2", "fd00:10:244:1::2"],
  device: "fl1",
  mac: "02:00:00:00:00:02",
};

describe("parseEndpoint", () => {
  test("reads a pod of ours", () => {
    assert.deepEqual(parseEndpoint(JSON.stringify(good)), {
      pod: "web/pod-1",
      addresses: [address("10.244.1.2"), address("fd00:10:244:1::2")],
      device: "fl1",
      mac: Uint8Array.of(2, 0, 0, 0, 0, 2),
    });
  });

  const refused: readonly (readonly [name: string, text: string, message: RegExp])[] = [
    ["half a file", '{"name": "pod', /^not JSON: /],
    ["an empty file", "", /^not JSON: /],
    ["another kind of value", "[]", /expected object/],
    ["no device", JSON.stringify({ ...good, device: undefined }), /^device: /],
    ["no address", JSON.stringify({ ...good, addresses: [] }), /^addresses: /],
    [
      "an address that is none",
      JSON.stringify({ ...good, addresses: ["10.244.1"] }),
      /^addresses: "10.244.1" is not an IP address$/,
    ],
    ["a MAC that is none", JSON.stringify({ ...good, mac: "02:00" }), /^mac: "02:00" is not an Ethernet address$/],
  ];
  for (const [name, text, message] of refused) {
    test(`refuses ${name}`, () => {
      const result = parseEndpoint(text);
      assert.ok(typeof result === "string");
      assert.match(result, message);
    });
  }
});

test("readEndpoints: a broken file is a problem and costs no other pod anything", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "fl-endpoints-"));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "a.json"), JSON.stringify(good));
  writeFileSync(join(folder, "b.json"), "{");
  writeFileSync(join(folder, ".c.json"), "written at this moment");
  writeFileSync(join(folder, "readme.txt"), "not ours");
  const { endpoints, problems } = readEndpoints(folder);
  assert.deepEqual(
    endpoints.map(({ pod }) => pod),
    ["web/pod-1"],
  );
  assert.deepEqual(
    problems.map(({ subject }) => subject),
    [join(folder, "b.json")],
  );
});

test("readEndpoints: a folder that is not there is empty", () => {
  assert.deepEqual(readEndpoints("/nonexistent/fairlead"), { endpoints: [], problems: [] });
});

test("presentEndpoints: a pod whose device is not there yet is left out", () => {
  const file = parseEndpoint(JSON.stringify(good));
  assert.ok(typeof file !== "string");
  const link = { name: "fl1", ifindex: 7, mac: "02:00:00:00:00:01", up: true, noarp: false, addresses: [] };
  assert.deepEqual(presentEndpoints([file], [{ ...link, name: "fl2" }]), []);
  assert.deepEqual(
    presentEndpoints([file], [link]).map(({ ifindex, nodeMac }) => [ifindex, nodeMac]),
    [[7, Uint8Array.of(2, 0, 0, 0, 0, 1)]],
  );
});
