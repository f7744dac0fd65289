/**
 * BPF_PROG_TEST_RUN: one packet through one loaded program, without a device. The kernel does not restore the packet between repeats and
 * costs 16-24 ms of set-up a call, so durations mean something only for programs that write their packet anew (bench/bpf).
 */
import { SystemError } from "./error.ts";
import * as libbpf from "./libbpf.ts";
import type { BpfProgram } from "./object.ts";

export interface TestRunOptions {
  readonly repeat?: number;
  /** Device the packet came in by. For XDP it must have XDP queues (a veth with XDP attached); absent: the loopback device. */
  readonly ingressIfindex?: number;
  /** Bytes in front of the packet, as XDP left them for tc. XDP programs only. */
  readonly metadata?: Uint8Array;
  /** skb->mark before the run. sched_cls only. */
  readonly mark?: number;
  /**
   * XDP only: the verdict is carried out (XDP_TX, redirect and pass send real frames), `repeat` times, this many at once. The result has no data.
   */
  readonly liveBatch?: number;
}

export interface TestRunResult {
  /** XDP_* or TC_ACT_*, as signed. */
  readonly retval: number;
  /** The packet afterwards, without metadata. */
  readonly data: Uint8Array;
  /** What the program left in front of the packet. */
  readonly metadata: Uint8Array;
  /** Average of a repeat. */
  readonly durationNs: number;
}

const PROGRAM_XDP = 6;
const LIVE_FRAMES = 1 << 1;
/** The kernel gives XDP packets a page, less head and tail room. */
const OUTPUT_BYTES = 4096;
const EINTR = 4;
const ATTEMPTS_MAX = 10;

/** struct xdp_md */
const XDP_MD = { size: 24, data: 0, data_end: 4, ingress_ifindex: 12 } as const;
/** struct __sk_buff, the fields that may be set */
const SK_BUFF = { size: 192, mark: 8, ifindex: 40 } as const;

/** Throws {@link SystemError} when the kernel refuses the packet (shorter than an Ethernet header, for one). */
export function testRun(program: BpfProgram, packet: Uint8Array, options: TestRunOptions = {}): TestRunResult {
  const xdp = program.type === PROGRAM_XDP;
  const metadata = options.metadata ?? new Uint8Array();
  const live = options.liveBatch !== undefined;
  const dataIn = new Uint8Array(metadata.length + packet.length);
  dataIn.set(metadata);
  dataIn.set(packet, metadata.length);
  const dataOut = live ? null : new Uint8Array(OUTPUT_BYTES + dataIn.length);
  const contextIn = xdp ? xdpContext(dataIn.length, metadata.length, options) : skbContext(options);
  const contextOut = live ? null : new Uint8Array(contextIn.length);
  const run: libbpf.TestRunOptions = {
    sz: libbpf.TEST_RUN_OPTIONS_SIZE,
    data_in: dataIn,
    data_out: dataOut,
    data_size_in: dataIn.length,
    data_size_out: dataOut?.length ?? 0,
    ctx_in: contextIn,
    ctx_out: contextOut,
    ctx_size_in: contextIn.length,
    ctx_size_out: contextOut?.length ?? 0,
    retval: 0,
    repeat: options.repeat ?? 1,
    duration: 0,
    flags: live ? LIVE_FRAMES : 0,
    cpu: 0,
    batch_size: options.liveBatch ?? 0,
  };
  const result = runUninterrupted(program, run);
  if (result < 0) {
    const attempt = `run BPF program "${program.name}" on a packet of ${packet.length} bytes`;
    throw new SystemError({ call: "bpf_prog_test_run_opts", errno: result, subject: program.name, attempt });
  }
  const metadataOut = xdp && contextOut !== null ? viewOf(contextOut).getUint32(XDP_MD.data, true) : 0;
  const data = dataOut?.subarray(0, run.data_size_out) ?? new Uint8Array();
  return {
    retval: run.retval | 0,
    data: data.subarray(metadataOut),
    metadata: data.subarray(0, metadataOut),
    durationNs: run.duration,
  };
}

/** A signal ends a run with many repeats early; it starts again then, and the program has run more often than asked. */
function runUninterrupted(program: BpfProgram, run: libbpf.TestRunOptions): number {
  for (let attempt = 1; ; attempt += 1) {
    const result = libbpf.bpf_prog_test_run_opts(program.fd, run);
    if (result !== -EINTR || attempt === ATTEMPTS_MAX) return result;
  }
}

function xdpContext(length: number, metadataLength: number, { ingressIfindex = 0 }: TestRunOptions): Uint8Array {
  const context = new Uint8Array(XDP_MD.size);
  const view = viewOf(context);
  view.setUint32(XDP_MD.data, metadataLength, true);
  view.setUint32(XDP_MD.data_end, length, true);
  view.setUint32(XDP_MD.ingress_ifindex, ingressIfindex, true);
  return context;
}

function skbContext({ ingressIfindex = 0, mark = 0 }: TestRunOptions): Uint8Array {
  const context = new Uint8Array(SK_BUFF.size);
  const view = viewOf(context);
  view.setUint32(SK_BUFF.mark, mark, true);
  view.setUint32(SK_BUFF.ifindex, ingressIfindex, true);
  return context;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
