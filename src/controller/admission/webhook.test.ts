import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connect } from "node:tls";
import { makeCertificates } from "../../source/kubernetes/certificates.ts";
import { runWebhook, type WebhookOptions } from "./webhook.ts";

const LOOPBACK = "127.0.0.1";

test("a webhook with certificates of others serves with them, tells when they expire, and asks no API server about them", async () => {
  const certificateFolder = mkdtempSync(join(tmpdir(), "fl-certificates-"));
  const made = await makeCertificates([LOOPBACK], new Date());
  writeFileSync(join(certificateFolder, "tls.crt"), made.cert);
  writeFileSync(join(certificateFolder, "tls.key"), made.key);
  const stop = new AbortController();
  const serving = Promise.withResolvers<Date>();
  const port = Promise.withResolvers<number>();
  const options = {
    listen: { host: LOOPBACK, port: 0 },
    connection: { request: () => assert.fail(), watch: () => assert.fail(), close: () => {} },
    namespace: "lb",
    names: [LOOPBACK],
    certificateFolder,
    source: { ready: Promise.resolve() },
    log: {
      info: (fields: object) => {
        if ("port" in fields) port.resolve(Number(fields.port));
      },
    },
    onServing: serving.resolve,
    onProblem: (message: string | undefined) => message !== undefined && serving.reject(new Error(message)),
  } as unknown as WebhookOptions;
  const ended = runWebhook(options, stop.signal);
  const expires = await serving.promise;
  const days = (expires.getTime() - Date.now()) / 86_400_000;
  assert.ok(days > 364 && days < 366, String(days));
  const socket = connect({ host: LOOPBACK, port: await port.promise, ca: made.ca });
  await new Promise<void>((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
  assert.equal(socket.authorized, true);
  socket.destroy();
  stop.abort();
  await ended;
  rmSync(certificateFolder, { recursive: true });
});

test("a webhook whose certificates are not there yet says which file it misses", async () => {
  const stop = new AbortController();
  const told: string[] = [];
  const options = {
    listen: { host: LOOPBACK, port: 0 },
    certificateFolder: "/nonexistent",
    source: { ready: Promise.resolve() },
    log: { info: () => {} },
    onProblem: (message: string | undefined) => {
      told.push(message ?? "");
      stop.abort();
    },
  } as unknown as WebhookOptions;
  await runWebhook(options, stop.signal);
  assert.match(told.join(), /\/nonexistent\/tls\.crt/);
});
