/** Our side of the BGP benchmark: `bgp-speaker.ts PEER OWN-AS PEER-AS ROUTES`, one session that announces so many /32. Ends with its input. */
import { once } from "node:events";
import { address } from "../src/net/address.ts";
import { prefixOf } from "../src/net/prefix.ts";
import { startSpeaker } from "../src/protocol/bgp/driver.ts";
import { routesByPrefix } from "../src/protocol/bgp/route.ts";

const [peer = "", ownAs = "", peerAs = "", count = ""] = process.argv.slice(2);
const speaker = startSpeaker({ identity: { bgpIdentifier: 0x0a63_0002, hostname: "bench" } });
const routes = Array.from({ length: Number(count) }, (_, i) => ({
  prefix: prefixOf({ family: "IPv4", value: 0x0b00_0000n + BigInt(i) }, 32),
}));
speaker.announce(new Map([["router", routesByPrefix(routes)]]));
speaker.complete();
speaker.configure([
  {
    name: "router",
    localAsn: Number(ownAs),
    peerAsn: Number(peerAs),
    peer: { type: "address", address: address(peer) },
    port: 179,
    initiation: "dial",
    holdTimeSeconds: 90,
    connectTimeSeconds: 5,
    families: ["IPv4"],
  },
]);
process.stdin.resume();
await once(process.stdin, "end");
await speaker.stop("restart");
