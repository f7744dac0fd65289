import assert from "node:assert/strict";
import { test } from "node:test";
import type { MonitorEvent } from "../observe/status.ts";
import { parse, parseAllDocuments } from "yaml";
import { documents, events } from "./documents.fixture.ts";
import { fairlead, serveDocuments, serveEvents } from "./agent.fixture.ts";

test("events are lines of aligned fields, without those an event lacks", async () => {
  await using agent = await serveEvents(events, "silent");
  const { code, stdout } = await fairlead(`monitor --count 2 --socket ${agent.socket}`);
  assert.equal(code, 0);
  assert.equal(
    stdout,
    "12:00:01.250  forwarded              xdp             eth0      TCP   " +
      "192.168.10.250:40000 → 192.168.10.0:80  60 bytes  default/web  backend 10.244.2.2:8080\n" +
      "12:00:02.000  drop_truncated         netdev_ingress  eth0      UDP   [fd00::1]:1 → [fd00::2]:2  14 bytes\n",
  );
});

test("the sampling asked for goes to the agent", async () => {
  await using agent = await serveEvents(events, "silent");
  await fairlead(`monitor --count 1 --socket ${agent.socket}`);
  await fairlead(`monitor --count 1 --flows 0 --drops 7 --socket ${agent.socket}`);
  assert.deepEqual(agent.asked, ["/v1/monitor?flows=100&drops=1", "/v1/monitor?flows=0&drops=7"]);
});

test("json is one event a line, yaml one document an event", async () => {
  await using agent = await serveEvents(events, "silent");
  const json = await fairlead(`monitor --count 2 -o json --socket ${agent.socket}`);
  assert.deepEqual(
    json.stdout
      .trimEnd()
      .split("\n")
      .map((line): unknown => JSON.parse(line)),
    events,
  );
  const yaml = await fairlead(`monitor --count 2 -o yaml --socket ${agent.socket}`);
  assert.deepEqual(
    parseAllDocuments(yaml.stdout).map((each) => parse(String(each)) as unknown),
    events,
  );
});

test("liveness probes are left out, unless they are asked for", async () => {
  const probe = { ...events[0], verdict: "answered_probe" } as MonitorEvent;
  await using agent = await serveEvents([probe, probe, ...events], "silent");
  const without = await fairlead(`monitor --count 1 --socket ${agent.socket}`);
  assert.match(without.stdout, /forwarded/);
  const withProbes = await fairlead(`monitor --count 1 --probes --socket ${agent.socket}`);
  assert.match(withProbes.stdout, /answered_probe/);
});

test("Ctrl-C is how it is meant to end", async () => {
  await using agent = await serveEvents(events, "silent");
  const stop = new AbortController();
  const { code, stdout, stderr } = await fairlead(`monitor --socket ${agent.socket}`, {
    stop: stop.signal,
    onOutput: () => stop.abort(),
  });
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  assert.match(stdout, /forwarded/);
});

test("a stream that the agent ends is not the end of the network's traffic", async () => {
  await using agent = await serveEvents(events, "hangUp");
  const { code, stderr } = await fairlead(`monitor --socket ${agent.socket}`);
  assert.equal(code, 3);
  assert.match(stderr, /ended the stream/);
});

test("an agent without a monitor says so", async () => {
  await using agent = await serveDocuments(documents);
  const { code, stderr } = await fairlead(`monitor --socket ${agent.socket}`);
  assert.equal(code, 1);
  assert.match(stderr, /answered \/v1\/monitor\?flows=100&drops=1 with 404/);
});
