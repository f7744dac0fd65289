/** The clock that the datapath reads with bpf_ktime_get_ns(): CLOCK_MONOTONIC, nanoseconds since boot without suspend. */
export function monotonicNs(): bigint {
  return process.hrtime.bigint(); // libuv: clock_gettime(CLOCK_MONOTONIC)
}
