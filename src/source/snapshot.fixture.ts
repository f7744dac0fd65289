import type { Snapshot } from "./source.ts";

const NOTHING = new Map<string, never>();

/** All was read, and nothing is there. */
export const EMPTY_SNAPSHOT: Snapshot = {
  services: NOTHING,
  endpointSlices: NOTHING,
  nodes: NOTHING,
  namespaces: NOTHING,
  secrets: NOTHING,
  ipAddressPools: NOTHING,
  l2Advertisements: NOTHING,
  bgpAdvertisements: NOTHING,
  bgpPeers: NOTHING,
  bfdProfiles: NOTHING,
  communities: NOTHING,
  problems: [],
  complete: true,
  unread: new Set(),
  reserved: NOTHING,
};
