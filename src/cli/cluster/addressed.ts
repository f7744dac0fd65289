/** Commands for people to type: about the same cluster, by the same user, as the command that prints them was given. Pure. */
import type { ClusterOptions } from "../options.ts";

/** A line of kubectl and helm, piped or not; anything else is left as it is. */
export function addressed(line: string, options: ClusterOptions): string {
  const { kubeconfig, context, cluster, user, as, asGroup = [] } = options;
  const shared = flag("kubeconfig", kubeconfig);
  const groups = (name: string): string => asGroup.map((each) => flag(name, each)).join("");
  const kubectl = `${shared}${flag("context", context)}${flag("cluster", cluster)}${flag("user", user)}${flag("as", as)}${groups("as-group")}`;
  // Helm has no words for cluster and user.
  const helm = `${shared}${flag("kube-context", context)}${flag("kube-as-user", as)}${groups("kube-as-group")}`;
  return line
    .split(" | ")
    .map((each) => (each.startsWith("kubectl ") ? each + kubectl : each.startsWith("helm ") ? each + helm : each))
    .join(" | ");
}

function flag(name: string, value: string | undefined): string {
  return value === undefined ? "" : ` --${name} ${quoted(value)}`;
}

/** As a shell reads it. */
function quoted(value: string): string {
  return /^[\w./:@-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`;
}
