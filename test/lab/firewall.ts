/** A rule of nftables on a host of the lab, for as long as a test needs it. */
import assert from "node:assert/strict";
import type { TestLab } from "./harness.ts";

let tables = 0;

/** `hook`: input, forward, prerouting … */
export async function firewall(lab: TestLab, host: string, hook: string, rule: string): Promise<AsyncDisposable> {
  tables += 1;
  const table = `fl${tables}`;
  const chain =
    hook === "prerouting" ? "type nat hook prerouting priority -100;" : `type filter hook ${hook} priority 0;`;
  for (const words of [
    ["add", "table", "inet", table],
    ["add", "chain", "inet", table, "rules", `{ ${chain} }`],
    ["add", "rule", "inet", table, "rules", rule],
  ]) {
    // A table is needed before its chain.
    // oxlint-disable-next-line no-await-in-loop
    const { status, stderr } = await lab.exec(host, "nft", words.join(" "));
    assert.equal(status, 0, stderr);
  }
  return {
    async [Symbol.asyncDispose]() {
      await lab.exec(host, "nft", `delete table inet ${table}`);
    },
  };
}
