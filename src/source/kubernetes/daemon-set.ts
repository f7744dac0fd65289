/** The DaemonSet that the agents are pods of: whether it is being deleted, and how that is done. */
import { z } from "zod";
import type { Connection } from "./connection.ts";
import { refusalOf } from "./writer.ts";

export interface DaemonSetName {
  readonly connection: Pick<Connection, "request">;
  readonly namespace: string;
  readonly name: string;
}

const schema = z.object({ metadata: z.object({ deletionTimestamp: z.string().optional() }) });

/** `deleting`: it stays until the last of its pods is gone. Rejects with what the API server found: then nobody knows. */
export async function daemonSetState({
  connection,
  ...place
}: DaemonSetName): Promise<"present" | "deleting" | "deleted"> {
  const response = await connection.request({ method: "GET", path: pathOf(place) });
  if (response.status === 404) return "deleted";
  if (response.status !== 200) throw new Error(refusalOf(response));
  return schema.parse(response.body).metadata.deletionTimestamp === undefined ? "present" : "deleting";
}

/** Its pods go first, so that each of them still finds it `deleting`. One that is not there is no failure. */
export async function deleteDaemonSet({ connection, ...place }: DaemonSetName): Promise<void> {
  const body = { kind: "DeleteOptions", apiVersion: "v1", propagationPolicy: "Foreground" };
  const response = await connection.request({ method: "DELETE", path: pathOf(place), body });
  if (response.status !== 404 && (response.status < 200 || response.status > 299)) throw new Error(refusalOf(response));
}

function pathOf({ namespace, name }: Omit<DaemonSetName, "connection">): string {
  return `/apis/apps/v1/namespaces/${encodeURIComponent(namespace)}/daemonsets/${encodeURIComponent(name)}`;
}
