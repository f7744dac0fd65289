/** `GET /v1/bgp/pcap`: while somebody captures, what BGP sends and receives goes into a file of packets as well. */
import { BadRequest, type ApiHandlers } from "../observe/api.ts";
import type { Log } from "../observe/log.ts";
import { PcapEncoder, pcapHeader } from "../protocol/bgp/pcap.ts";
import type { AgentState } from "./state.ts";

export function captureBgp(state: Pick<AgentState, "bgp">, log: Log): ApiHandlers["bgpPcap"] {
  return (peer, take) => {
    const { speaker } = state.bgp ?? {};
    if (speaker === undefined)
      throw new Error("Cannot capture BGP: this agent has not read its objects yet; try again");
    const names = speaker.view().map(({ name }) => name);
    // A peer that is a prefix has no session until somebody calls.
    const known = [...names, ...(state.bgp?.desired.sessions ?? []).map(({ config }) => config.name)];
    if (peer !== undefined && !known.some((name) => isOf(name, peer)))
      throw new BadRequest(
        `there is no BGP session of peer ${peer}: there are ${[...new Set(known)].join(", ") || "none"}`,
      );
    const encoder = new PcapEncoder();
    const counts = { written: 0, dropped: 0 };
    take(pcapHeader());
    const stop = speaker.observe((traffic) => {
      if (traffic.type !== "bytes") return;
      if (peer !== undefined && !isOf(traffic.session, peer)) return;
      const record = encoder.record(traffic, Date.now());
      if (record === undefined) return;
      counts[take(record) ? "written" : "dropped"] += 1;
    });
    return () => {
      stop();
      log("bgpCaptured", { peer, ...counts });
    };
  };
}

/** A session of a peer, or of one that called out of its prefix. */
function isOf(session: string, peer: string): boolean {
  return session === peer || session.startsWith(`${peer}/`);
}
