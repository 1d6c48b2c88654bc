/**
 * How large a datagram one direct path carries (RFC 8899, datagram packetization layer path MTU discovery).
 *
 * ```
 * Base ── Started ──▶ Searching ── a probe lost, or the largest size answered ──▶ SearchComplete
 *                         ▲                                                             │
 *                         └──────────────────── after ten minutes ─────────────────────┘
 * above the base ── a black hole ──▶ SearchComplete, at the base      at the base ── a black hole ──▶ Error, at the floor
 * ```
 *
 * Node cannot forbid fragmentation, and a kernel that has learnt a smaller MTU from a router fragments in silence: a size
 * that was lost once would seem to pass the second time. So the search goes upwards from the base, each size is probed
 * once (MAX_PROBES of RFC 8899 §5.1.2 is 1), nothing above the MTU of the local interface is tried, and the first loss
 * ends the search for as long as kernels remember (architecture, decision 7). Sizes are whole UDP payloads, in bytes.
 */
import { Data } from "effect"
import { type StateMachine, type Step, stay } from "../core/data/StateMachine.ts"

/** What is known of a path. */
export interface State {
  readonly phase: "Base" | "Searching" | "SearchComplete" | "Error"
  /** The sizes to choose from, ascending: the floor, the base, and what the local interface allows beyond. */
  readonly sizes: ReadonlyArray<number>
  /** Index of the size in use (PLPMTU); while searching, a probe of the next one is under way. */
  readonly level: number
  /** When the probe under way is lost, or when larger sizes are tried again (PMTU_RAISE_TIMER). */
  readonly dueAtMs: number | undefined
}

/** What happened. */
export type Input = Data.TaggedEnum<{
  /**
   * The path works, the peer answers probes, and this is the MTU of the interface that leads there, for IP packets. Said
   * again, it changes nothing unless that MTU has changed.
   */
  Started: { readonly mtuBytes: number; readonly isIpv6: boolean }
  /** The peer received a probe of this size. */
  ProbeAnswered: { readonly sizeBytes: number }
  /** Datagrams of this size vanish while smaller ones arrive (RFC 8899 §4.3). */
  BlackHoleFound: { readonly sizeBytes: number }
  TimerFired: {}
}>
/** Constructors of `Input`. */
export const Input = Data.taggedEnum<Input>()

/** What the owner must do: send one probe that makes a datagram of exactly this size. */
export interface Output {
  readonly _tag: "SendProbe"
  readonly sizeBytes: number
}

/** What needs no proof, sealed and relayed; RFC 9000 §14 uses the same number (BASE_PLPMTU). */
export const BASE_BYTES = 1200
/** What every IPv4 host accepts (RFC 1122 §3.3.2: packets of 576), less the headers (MIN_PLPMTU). */
export const FLOOR_BYTES = 548

/** Of a path of which nothing is known. */
export const initial: State = { phase: "Base", sizes: [FLOOR_BYTES, BASE_BYTES], level: 1, dueAtMs: undefined }

/** The largest datagram to send by the path. */
export const sizeBytes = ({ level, sizes }: State): number => sizes[level] ?? BASE_BYTES

/** Total; a wake-up before the deadline changes nothing, nor does an answer that nobody waits for. */
export const machine: StateMachine<State, Input, Output> = {
  deadlineMs: ({ dueAtMs }) => dueAtMs,
  step: (state, input, nowMs) => {
    switch (input._tag) {
      case "Started":
        return started(state, sizesFor(input), nowMs)
      case "ProbeAnswered":
        if (state.phase !== "Searching" || input.sizeBytes !== state.sizes[state.level + 1]) return stay(state)
        return search({ ...state, level: state.level + 1 }, nowMs)
      case "BlackHoleFound":
        return stay(input.sizeBytes > sizeBytes(state) ? state : fallBack(state, nowMs))
      case "TimerFired":
        return state.dueAtMs === undefined || nowMs < state.dueAtMs ? stay(state) : timerFired(state, nowMs)
    }
  }
}

/** The floor, the base, and above it what is common on the way and what the interface itself takes. */
const sizesFor = ({ isIpv6, mtuBytes }: Extract<Input, { _tag: "Started" }>): ReadonlyArray<number> => {
  const headersBytes = isIpv6 ? IPV6_HEADERS_BYTES : IPV4_HEADERS_BYTES
  const largest = Math.min(mtuBytes, PACKET_BYTES_MAX) - headersBytes
  const common = COMMON_MTUS.map((mtu) => mtu - headersBytes).filter((size) => size < largest)
  return [...initial.sizes, ...[...common, largest].filter((size) => size > BASE_BYTES)]
}

/** What was found out by another interface holds no more. */
const started = (state: State, sizes: ReadonlyArray<number>, nowMs: number): Step<State, Output> => {
  const isKnown = state.phase !== "Base" && state.sizes.at(-1) === sizes.at(-1)
  return isKnown || state.phase === "Error" ? stay(state) : search({ ...initial, sizes }, nowMs)
}

/** Probes the next size, if there is one. */
const search = (state: State, nowMs: number): Step<State, Output> => {
  const next = state.sizes[state.level + 1]
  if (next === undefined) return stay({ ...state, phase: "SearchComplete", dueAtMs: undefined })
  return {
    state: { ...state, phase: "Searching", dueAtMs: nowMs + PROBE_TIMER_MS },
    outputs: [{ _tag: "SendProbe", sizeBytes: next }]
  }
}

const timerFired = (state: State, nowMs: number): Step<State, Output> => {
  if (state.phase === "Searching") return stay(rest(state, "SearchComplete", nowMs))
  // Of a peer that answers no probes, only the data itself can tell that the base arrives again.
  return state.sizes.length === initial.sizes.length ? stay(initial) : search(state, nowMs)
}

const fallBack = (state: State, nowMs: number): State =>
  state.level > initial.level
    ? rest({ ...state, level: initial.level }, "SearchComplete", nowMs)
    : rest({ ...state, level: 0 }, "Error", nowMs)

const rest = (state: State, phase: State["phase"], nowMs: number): State => ({
  ...state,
  phase,
  dueAtMs: nowMs + RAISE_TIMER_MS
})

/** IPv6's least, tunnels and mobile networks, WireGuard, PPPoE, Ethernet, FDDI, jumbo frames, and half a loopback. */
const COMMON_MTUS = [1280, 1400, 1420, 1492, 1500, 4352, 9000, 32_768]
const IPV4_HEADERS_BYTES = 28
const IPV6_HEADERS_BYTES = 48
/** The length field of IPv4 has 16 bits; the loopback says one more. */
const PACKET_BYTES_MAX = 65_535
/** RFC 8899 §5.1.1 asks for at least a second, and for more than a round trip. */
const PROBE_TIMER_MS = 5_000
/** RFC 8899 §5.1.1; Linux forgets a learnt MTU after the same ten minutes. */
const RAISE_TIMER_MS = 600_000
