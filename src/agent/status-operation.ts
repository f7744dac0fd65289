/** What an agent writes about its node: statuses of Services, and the events about them. */
import type { BgpStatusWrite, EventWrite, L2StatusWrite, Snapshot } from "../source/source.ts";

export type StatusOperation =
  | { readonly type: "l2"; readonly service: string; readonly write: L2StatusWrite | undefined }
  | { readonly type: "bgp"; readonly service: string; readonly write: BgpStatusWrite | undefined }
  /** `follows`: not while that status could not be written, else it would be said with every attempt. */
  | {
      readonly type: "event";
      readonly write: EventWrite;
      readonly follows?: { readonly kind: "l2" | "bgp"; readonly service: string };
    };

export function eventAbout(
  service: string,
  snapshot: Pick<Snapshot, "services">,
  event: Pick<EventWrite, "type" | "reason" | "message">,
): EventWrite {
  const [namespace = "", name = ""] = service.split("/");
  const uid = snapshot.services.get(service)?.metadata.uid;
  const regarding = { kind: "Service", namespace, name, ...(uid === undefined ? {} : { uid }) };
  return { ...event, regarding };
}
