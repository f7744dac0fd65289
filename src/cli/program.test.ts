import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { fairlead, serveDocuments } from "./agent.fixture.ts";
import { documents } from "./documents.fixture.ts";

/** The names in the list of commands of a help text, without `help` itself. */
function commandsIn(help: string): readonly string[] {
  const list = help.split("\nCommands:\n")[1]?.split("\n\n")[0] ?? "";
  return [...list.matchAll(/^ {2}([a-z-]+)/gm)].map((match) => match[1] ?? "").filter((name) => name !== "help");
}

/** Every command below this one. */
async function allCommands(words: string): Promise<readonly string[]> {
  const { stdout } = await fairlead(`${words} --help`.trim());
  const below = commandsIn(stdout).map((name) => `${words} ${name}`.trim());
  return [words, ...(await Promise.all(below.map(allCommands))).flat()];
}

test("every command has a help text with a summary and an example that starts with its own name", async () => {
  const names = await allCommands("");
  assert.ok(
    names.includes("bpf announced list") && names.includes("lab fault") && names.includes("controller"),
    String(names),
  );
  for (const name of names) {
    const { code, stdout, stderr } = await fairlead(`${name} --help`.trim());
    assert.equal(code, 0, name);
    assert.equal(stderr, "", name);
    assert.match(stdout, /^Usage: fairlead .*\n\n\S.*\n/, name);
    assert.ok(
      stdout.includes(`\nExample:\n  ${`fairlead ${name}`.trim()}`),
      `no example in the help of "${name}":\n${stdout}`,
    );
  }
});

test("every command that reads from an agent takes -o and --socket", async () => {
  const names = await allCommands("");
  const readers = names.filter((name) => /^(status|services|nodes|pools|monitor|version|bpf \w+ list)$/.test(name));
  assert.equal(readers.length, 11);
  for (const name of readers) {
    const { stdout } = await fairlead(`${name} --help`);
    assert.match(stdout, /-o, --output <format>/, name);
    assert.match(stdout, /--socket <path>/, name);
  }
});

const MISTAKES: readonly { readonly name: string; readonly line: string; readonly says: RegExp }[] = [
  { name: "no command", line: "", says: /Usage: fairlead/ },
  { name: "an unknown command", line: "frobnicate", says: /unknown command 'frobnicate'/ },
  { name: "a misspelled command", line: "stauts", says: /Did you mean status\?/ },
  { name: "a map without what to do with it", line: "bpf lb", says: /Usage: fairlead bpf lb/ },
  { name: "an unknown map", line: "bpf nat list", says: /unknown command 'nat'/ },
  { name: "an unknown option", line: "services --colour", says: /unknown option '--colour'/ },
  {
    name: "a cluster that cannot be read",
    line: "migrate check --kubeconfig /nonexistent",
    says: /Cannot read the cluster: .*\/nonexistent/,
  },
  { name: "an unknown format", line: "services -o xml", says: /Allowed choices are table, json, yaml/ },
  { name: "an option without its value", line: "services --socket", says: /argument missing/ },
  { name: "an argument too many", line: "services default/web", says: /too many arguments/ },
  { name: "a limit that is no number", line: "bpf ct list --limit many", says: /Expected a number/ },
  { name: "a negative limit", line: "bpf ct list --limit=-1", says: /Expected a number/ },
  { name: "a sampling rate that is no number", line: "monitor --flows 1.5", says: /Expected a number/ },
  {
    name: "a controller without manifests",
    line: "controller --state /tmp/x",
    says: /--manifests: name at least one folder of manifests, or use --kubernetes/,
  },
  {
    name: "a controller without a state folder",
    line: "controller --manifests /tmp",
    says: /--state: name the folder/,
  },
  {
    name: "objects from two places",
    line: "controller --manifests /tmp --state /tmp --kubernetes",
    says: /not from both\n.*--state: with Kubernetes/,
  },
  {
    name: "a leader that gives up after others took over",
    line: "controller --kubeconfig x --renew-deadline-seconds 5 --lease-duration-seconds 4",
    says: /--renew-deadline-seconds 5 must be less than --lease-duration-seconds 4/,
  },
  {
    name: "a lease that lasts no time",
    line: "controller --kubeconfig x --lease-duration-seconds 0",
    says: /more than 0/,
  },
  {
    name: "a Secret beside folders",
    line: "controller --manifests a --state b --membership-secret s",
    says: /--membership-secret: beside folders/,
  },
  {
    name: "certificates for no webhook",
    line: "controller --kubeconfig x --webhook-cert-dir /tmp",
    says: /--webhook-cert-dir: no webhook is served/,
  },
  {
    name: "a health address without a port",
    line: "controller --kubeconfig x --health-listen localhost",
    says: /--health-listen: "localhost" is not HOST:PORT/,
  },
  { name: "a removal of agents from nowhere", line: "remove-agents", says: /--kubernetes in a pod, --kubeconfig/ },
  { name: "an agent without a name", line: "agent --manifests /tmp", says: /--node-name <name>' not specified/ },
  {
    name: "an agent with options that make no sense",
    line: "agent --node-name A! --manifests a --metrics-listen x",
    says: /"A!" is not the name of a node\n.*"x" is not HOST:PORT/,
  },
  { name: "a cleanup of nothing", line: "cleanup", says: /--node-name <name>' not specified/ },
  {
    name: "an unknown log level",
    line: "controller --manifests a --state b --log-level loud",
    says: /Allowed choices/,
  },
];

for (const mistake of MISTAKES) {
  test(`${mistake.name} is a usage error that says what is wrong, on stderr only`, async () => {
    const { code, stdout, stderr } = await fairlead(mistake.line);
    assert.equal(code, 2);
    assert.equal(stdout, "");
    assert.match(stderr, mistake.says);
  });
}

test("--version is the version in package.json, and nothing else", async () => {
  const { code, stdout, stderr } = await fairlead("--version");
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  const { version } = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8")) as {
    readonly version: string;
  };
  assert.equal(stdout, `${version}\n`);
});

test("json is the agent's document, unchanged", async () => {
  await using agent = await serveDocuments(documents);
  const { code, stdout } = await fairlead(`services --socket ${agent.socket} -o json`);
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout), documents["/v1/services"]);
});

test("yaml is the agent's document, long texts on one line", async () => {
  await using agent = await serveDocuments(documents);
  const { stdout } = await fairlead(`bpf announced list --socket ${agent.socket} -o yaml`);
  assert.equal(stdout, "- address: 192.168.10.0\n  device: eth0\n  requests: 18\n  answers: 17\n");
});
