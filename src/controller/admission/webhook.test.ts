import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connect } from "node:tls";
import { makeCertificates, type Certificates } from "../../source/kubernetes/certificates.ts";
import { mountSecret } from "./mounted-secret.fixture.ts";
import { runWebhook, type WebhookOptions } from "./webhook.ts";

const LOOPBACK = "127.0.0.1";

interface RunningWebhook extends AsyncDisposable {
  readonly port: Promise<number>;
  /** Resolves when it has said this often that it serves. */
  readonly serving: (times: number) => Promise<Date>;
  readonly problem: Promise<string>;
}

/** It keeps certificates of others, and may not ask an API server about them. */
function run(certificateFolder: string): RunningWebhook {
  const stop = new AbortController();
  const texts = new EventEmitter();
  const port = Promise.withResolvers<number>();
  const problem = Promise.withResolvers<string>();
  const expiries: Date[] = [];
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
    onServing: (expires: Date) => {
      expiries.push(expires);
      texts.emit("serving");
    },
    onProblem: (message: string | undefined) => message !== undefined && problem.resolve(message),
  } as unknown as WebhookOptions;
  const ended = runWebhook(options, stop.signal);
  return {
    port: port.promise,
    problem: problem.promise,
    serving: (times) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const last = expiries[times - 1];
          if (last !== undefined) resolve(last);
        };
        texts.on("serving", look);
        look();
        void ended.then(() => reject(new Error("It ended")), reject);
      }),
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await ended;
    },
  };
}

const certificates = (): Promise<Certificates> => makeCertificates([LOOPBACK], new Date());

/** Resolves when it serves with them. */
async function runWith(folder: string, first: Certificates): Promise<RunningWebhook> {
  mountSecret(folder, filesOf(first));
  const webhook = run(folder);
  await webhook.serving(1);
  return webhook;
}

async function isTrusted(port: number, ca: string): Promise<boolean> {
  const socket = connect({ host: LOOPBACK, port, ca, rejectUnauthorized: false });
  await new Promise<void>((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
  socket.destroy();
  return socket.authorized;
}

const filesOf = ({ cert, key }: Pick<Certificates, "cert" | "key">): Readonly<Record<string, string>> => ({
  "tls.crt": cert,
  "tls.key": key,
});

function temporaryFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "fl-certificates-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

test("a webhook with certificates of others serves with them, tells when they expire, and asks no API server about them", async () => {
  using folder = temporaryFolder();
  const made = await certificates();
  writeFileSync(join(folder.path, "tls.crt"), made.cert);
  writeFileSync(join(folder.path, "tls.key"), made.key);
  await using webhook = run(folder.path);
  const days = ((await webhook.serving(1)).getTime() - Date.now()) / 86_400_000;
  assert.ok(days > 364 && days < 366, String(days));
  assert.equal(await isTrusted(await webhook.port, made.ca), true);
});

test("a webhook with certificates of others serves with the next ones as soon as they are there", async () => {
  using folder = temporaryFolder();
  const [first, second] = [await certificates(), await certificates()];
  await using webhook = await runWith(folder.path, first);
  mountSecret(folder.path, filesOf(second));
  await webhook.serving(2);
  assert.equal(await isTrusted(await webhook.port, second.ca), true);
});

test("a webhook goes on with its certificate when the next one does not belong to its key, and says so", async () => {
  using folder = temporaryFolder();
  const [first, second] = [await certificates(), await certificates()];
  await using webhook = await runWith(folder.path, first);
  mountSecret(folder.path, filesOf({ cert: second.cert, key: first.key }));
  assert.match(await webhook.problem, /tls\.key is not the key of .*tls\.crt/);
  assert.equal(await isTrusted(await webhook.port, first.ca), true);
  mountSecret(folder.path, filesOf(second));
  await webhook.serving(2);
  assert.equal(await isTrusted(await webhook.port, second.ca), true);
});

test("a webhook whose certificate is none says which file is wrong", async () => {
  using folder = temporaryFolder();
  mountSecret(folder.path, filesOf({ cert: "nonsense", key: "nonsense" }));
  await using webhook = run(folder.path);
  assert.match(await webhook.problem, /tls\.crt/);
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
