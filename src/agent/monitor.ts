/** `GET /v1/monitor`: while somebody watches, the datapath samples packets into the ring buffer and they are sent on. */
import { loadBackend } from "../datapath/encode.ts";
import { storeSampling } from "../datapath/records.ts";
import { openRingBuffer } from "../kernel/ringbuf.ts";
import { formatAddress } from "../net/address.ts";
import type { ApiHandlers } from "../observe/api.ts";
import { decodeEvent, type EventNames } from "../observe/events.ts";
import type { MonitorEvent } from "../observe/status.ts";
import type { Datapath } from "./datapath.ts";
import { deviceName } from "./map-rows.ts";
import type { AgentState } from "./state.ts";

interface Watcher {
  readonly sampling: { readonly flows: number; readonly drops: number };
  readonly emit: (event: MonitorEvent) => void;
}

/** All watchers share one ring buffer; the one that wants to see most decides how much is sampled. */
export function monitorEvents(state: AgentState, datapath: Pick<Datapath, "map">): ApiHandlers["monitor"] {
  const watchers = new Set<Watcher>();
  const names = eventNames(state);
  let close = (): void => {};

  const open = (): void => {
    const ring = openRingBuffer(datapath.map("events"));
    // What an earlier watcher left unread is old news.
    ring.consume(() => {});
    const stop = ring.watch((bytes) => {
      const event = decodeEvent(bytes, names);
      if (event !== undefined) for (const watcher of watchers) watcher.emit(event);
    });
    close = () => {
      stop();
      ring.close();
    };
  };
  const sample = (): void => {
    const list = [...watchers].map(({ sampling }) => sampling);
    storeSampling(state.maps.runtime, {
      flows: densest(list.map(({ flows }) => flows)),
      drops: densest(list.map(({ drops }) => drops)),
    });
  };

  return (sampling, emit) => {
    const watcher: Watcher = { sampling, emit };
    if (watchers.size === 0) open();
    watchers.add(watcher);
    sample();
    return () => {
      if (!watchers.delete(watcher)) return;
      sample();
      if (watchers.size === 0) close();
    };
  };
}

/** One in N: the smallest N, where 0 is none. */
function densest(counts: readonly number[]): number {
  const asked = counts.filter((count) => count > 0);
  return asked.length === 0 ? 0 : Math.min(...asked);
}

function eventNames(state: AgentState): EventNames {
  return {
    device: (ifindex) => deviceName(state, ifindex),
    service: (id) => (id === 0 ? undefined : state.tables.serviceNames.get(id)),
    backend: (id) => {
      const record = loadBackend(state.maps.forwarding.backends, id);
      return record === undefined ? undefined : `${formatAddress(record.address)}:${record.port}`;
    },
    wallClock: (monotonicNs) => new Date(Date.now() - Number(state.nowNs() - monotonicNs) / 1e6),
  };
}
