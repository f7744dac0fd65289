/** Routes as an MRT table dump (RFC 6396 §4.3): what GoBGP can be given many routes at once by. */
import { Writer } from "../src/bytes/writer.ts";
import { encodeAttributes } from "../src/protocol/bgp/attribute-list.ts";
import { INITIAL_CONTEXT } from "../src/protocol/bgp/context.ts";
import { addressOf } from "../src/protocol/bgp/nlri.ts";

const TABLE_DUMP_V2 = 13;
const PEER_INDEX_TABLE = 1;
const RIB_IPV4_UNICAST = 2;
const PEER_WITH_LONG_AS = 2;

/** So many /32 from `first` on, all with one next hop and an empty path. */
export function mrtDump(first: number, count: number, nextHop: number): Uint8Array {
  const context = { ...INITIAL_CONTEXT, fourOctetAs: true };
  const address = addressOf(new Writer(4).u32(nextHop).finish(), "IPv4");
  const attributes = encodeAttributes(
    [
      { type: "origin", origin: "igp" },
      { type: "asPath", segments: [] },
      { type: "nextHop", address },
    ],
    context,
  );
  const peers = new Writer(8 + 13)
    .u32(nextHop)
    .u16(0)
    .u16(1)
    .u8(PEER_WITH_LONG_AS)
    .u32(nextHop)
    .u32(nextHop)
    .u32(65011);
  const entryLength = 4 + 1 + 4 + 2 + 2 + 4 + 2 + attributes.length;
  const dump = new Writer(12 + 21 + count * (12 + entryLength));
  header(dump, PEER_INDEX_TABLE, 21).bytes(peers.finish());
  for (let i = 0; i < count; i += 1) {
    header(dump, RIB_IPV4_UNICAST, entryLength)
      .u32(i)
      .u8(32)
      .u32(first + i);
    dump.u16(1).u16(0).u32(0).u16(attributes.length).bytes(attributes);
  }
  return dump.finish();
}

function header(writer: Writer, subtype: number, length: number): Writer {
  return writer.u32(0).u16(TABLE_DUMP_V2).u16(subtype).u32(length);
}
