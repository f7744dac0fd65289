/** Roles as we ship them, less a right: for what programs do when it is missing. */
import type { Connection } from "../../src/source/kubernetes/connection.ts";

export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

/** Replaces the rules of a role: `clusterroles/fairlead-agent`, `namespaces/x/roles/fairlead-agent`. */
export async function changeRole(
  admin: Connection,
  name: string,
  change: (rules: readonly Rule[]) => readonly Rule[],
): Promise<void> {
  const path = `/apis/rbac.authorization.k8s.io/v1/${name}`;
  const { status, body } = await admin.request({ method: "GET", path });
  if (status !== 200) throw new Error(`${name}: the API server answers ${status}`);
  const { rules, ...role } = body as { readonly rules: readonly Rule[] };
  const written = await admin.request({ method: "PUT", path, body: { ...role, rules: change(rules) } });
  if (written.status !== 200) throw new Error(`${name}: the API server answers ${written.status}`);
}

/** Without this resource in any rule. */
export function without(resource: string): (rules: readonly Rule[]) => readonly Rule[] {
  return (rules) =>
    rules
      .map((rule) => ({ ...rule, resources: rule.resources.filter((each) => each !== resource) }))
      .filter(({ resources }) => resources.length > 0);
}
