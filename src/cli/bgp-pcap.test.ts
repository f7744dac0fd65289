import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fairlead, serve } from "./agent.fixture.ts";

/** Sends these bytes, none of them text, and stays. */
const PIECE = Buffer.from([0xa1, 0xb2, 0xc3, 0xd4, 0, 0xff]);
const serveCapture = (): ReturnType<typeof serve> => serve((_, response) => void response.write(PIECE));

test("the agent's bytes go into the file as they are, for as long as was asked", async () => {
  await using agent = await serveCapture();
  const file = join(agent.folder, "out.pcap");
  const { code, stdout, stderr } = await fairlead(`bgp pcap ${file} --peer a/b --seconds 1 --socket ${agent.socket}`);
  assert.deepEqual([code, stdout, stderr], [0, "", `Wrote 6 bytes to ${file}\n`]);
  assert.deepEqual(readFileSync(file), PIECE);
  assert.deepEqual(agent.asked, ["/v1/bgp/pcap?peer=a%2Fb"]);
});

test("standard output gets them too, until Ctrl-C, but no terminal", async () => {
  await using agent = await serveCapture();
  const stop = new AbortController();
  const around = { stop: stop.signal, onOutput: (): void => stop.abort() };
  const { code, stdout } = await fairlead(`bgp pcap - --socket ${agent.socket}`, around);
  assert.deepEqual([code, Buffer.from(stdout, "latin1")], [0, PIECE]);
  assert.deepEqual(agent.asked, ["/v1/bgp/pcap"]);
  const refused = await fairlead(`bgp pcap - --socket ${agent.socket}`, { isTTY: true });
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /terminal/);
});

test("an earlier capture is not given up for an agent that refuses, and what cannot be written is said", async () => {
  await using agent = await serve((_, response) => {
    response.statusCode = 400;
    response.end('{"error": "there is no BGP session of peer x"}');
  });
  const file = join(agent.folder, "old.pcap");
  writeFileSync(file, "old");
  const { code, stderr } = await fairlead(`bgp pcap ${file} --peer x --socket ${agent.socket}`);
  assert.equal(code, 1);
  assert.match(stderr, /there is no BGP session of peer x/);
  assert.equal(readFileSync(file, "utf8"), "old");
  await using other = await serveCapture();
  const nowhere = await fairlead(`bgp pcap ${other.folder}/no/such --socket ${other.socket}`);
  assert.equal(nowhere.code, 1);
  assert.match(nowhere.stderr, /Cannot write the capture to .*ENOENT/);
});
