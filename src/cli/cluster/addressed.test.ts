import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { addressed } from "./addressed.ts";

const CASES: readonly (readonly [string, Parameters<typeof addressed>[1], string])[] = [
  ["kubectl get nodes", {}, "kubectl get nodes"],
  ["kubectl get nodes", { context: "there", as: "root" }, "kubectl get nodes --context there --as root"],
  [
    "helm list",
    { kubeconfig: "/k", context: "there", as: "root", asGroup: ["a", "b"] },
    "helm list --kubeconfig /k --kube-context there --kube-as-user root --kube-as-group a --kube-as-group b",
  ],
  [
    "helm get manifest m | kubectl apply -f -",
    { context: "c" },
    "helm get manifest m --kube-context c | kubectl apply -f - --context c",
  ],
  ["# kubectl apply -f of yours", { context: "c" }, "# kubectl apply -f of yours"],
  ["kubectl x", { cluster: "c", user: "u" }, "kubectl x --cluster c --user u"],
];

for (const [line, options, expected] of CASES)
  test(`${line} for ${JSON.stringify(options)}`, () => {
    assert.equal(addressed(line, options), expected);
  });

test("a name with blanks and quotes reaches the program as it is", () => {
  const context = "it's a $(name)";
  const line = addressed("kubectl x", { context }).replace("kubectl", "printf '%s\\n'");
  assert.equal(execFileSync("sh", ["-c", line], { encoding: "utf8" }), `x\n--context\n${context}\n`);
});
