/**
 * The ports of one node (wire §2, §8, §9.5): which are bound, which carry connections to whom, which source port a dial
 * takes, and how many SYNs are let in. Keeps numbers only; the connections themselves belong to their peers' actors.
 */
import { Result } from "effect"
import { ExpiringMap } from "../../core/data/ExpiringMap.ts"
import * as TokenBucket from "../../core/data/TokenBucket.ts"
import { type NodeId, Port, type SocketAddress } from "../wire/Address.ts"

/** Bounds of one node; rates per second, with a burst of the same size. */
export interface PortLimits {
  readonly connectionsPerPortMax: number
  readonly connectionsMax: number
  readonly synRate: number
  readonly synRatePerSource: number
  /** Sources whose rate is remembered. */
  readonly sourcesMax: number
}

/** wire §8. */
export const defaultLimits: PortLimits = {
  connectionsPerPortMax: 1024,
  connectionsMax: 4096,
  synRate: 100,
  synRatePerSource: 10,
  sourcesMax: 4096
}

/** Every ephemeral port is taken. */
export type PortsExhausted = "Exhausted"

/** Mutable inside the node that owns it. */
export class PortTable {
  readonly #limits: PortLimits
  readonly #bound = new Set<Port>()
  readonly #open = new Set<string>()
  readonly #openPerPort = new Map<Port, number>()
  /** Keys closed a short while ago: the remote may still take a SYN from there for the old connection. */
  readonly #resting = new ExpiringMap<string, true>({ entriesMax: EPHEMERAL_PORTS, lifeMs: REST_MS })
  readonly #syns: TokenBucket.TokenBucket
  readonly #synsPerSource: ExpiringMap<NodeId, TokenBucket.TokenBucket>
  #cursor: number

  /**
   * `start` is any number, and says which ephemeral port comes first: 49152 for 0, as in the reference. A node passes a
   * random one, because its peers may hold the ports of its last run in TIME_WAIT (wire §9.2; RFC 6056 §3.3.1).
   */
  constructor(limits: PortLimits, nowMs: number, start = 0) {
    this.#cursor = EPHEMERAL_FIRST + (start % EPHEMERAL_PORTS)
    this.#limits = limits
    this.#syns = new TokenBucket.TokenBucket({ capacity: limits.synRate, perSecond: limits.synRate }, nowMs)
    this.#synsPerSource = new ExpiringMap({ entriesMax: limits.sourcesMax, lifeMs: SOURCE_LIFE_MS })
  }

  /** Connections open on all ports. */
  get connections(): number {
    return this.#open.size
  }

  /** The bound ports, in the order of binding. */
  get bound(): ReadonlyArray<Port> {
    return [...this.#bound]
  }

  /** Binds any port, once; false if it is bound. */
  bind(port: Port): boolean {
    if (this.#bound.has(port)) return false
    this.#bound.add(port)
    return true
  }

  /** Frees a bound port; its connections go on. */
  unbind(port: Port): void {
    this.#bound.delete(port)
  }

  /** Somebody listens there. */
  isBound(port: Port): boolean {
    return this.#bound.has(port)
  }

  /**
   * The next ephemeral port, wrapping to 49152: neither bound nor the local port of a connection. Ports used towards the
   * same remote a short while ago are passed over, up to `RESTING_SKIPPED_MAX` of them: then the one that has rested
   * longest has to do. Nothing is held by this: `open` follows, or, for a datagram, nothing.
   */
  allocate(remote: SocketAddress, nowMs: number): Result.Result<Port, PortsExhausted> {
    let fallback: Port | undefined
    let skipped = 0
    for (let tries = 0; tries < EPHEMERAL_PORTS && skipped < RESTING_SKIPPED_MAX; tries++) {
      const port = Port(this.#cursor)
      this.#cursor = this.#cursor === EPHEMERAL_LAST ? EPHEMERAL_FIRST : this.#cursor + 1
      if (this.#bound.has(port) || this.#openPerPort.has(port)) continue
      if (!this.#resting.has(keyOf(port, remote), nowMs)) return Result.succeed(port)
      fallback ??= port
      skipped += 1
    }
    if (fallback === undefined) return Result.fail("Exhausted")
    this.#cursor = fallback === EPHEMERAL_LAST ? EPHEMERAL_FIRST : fallback + 1
    return Result.succeed(fallback)
  }

  /** Counts a connection in; false if there is one with this key or a limit is reached. */
  open(localPort: Port, remote: SocketAddress): boolean {
    const key = keyOf(localPort, remote)
    const onPort = this.#openPerPort.get(localPort) ?? 0
    if (this.#open.has(key) || this.#open.size >= this.#limits.connectionsMax) return false
    if (onPort >= this.#limits.connectionsPerPortMax) return false
    this.#open.add(key)
    this.#openPerPort.set(localPort, onPort + 1)
    return true
  }

  /** A connection with this key is counted. */
  isOpen(localPort: Port, remote: SocketAddress): boolean {
    return this.#open.has(keyOf(localPort, remote))
  }

  /** Counts a connection out, at TIME_WAIT or later (wire §9.5). Idempotent. */
  close(localPort: Port, remote: SocketAddress, nowMs: number): void {
    const key = keyOf(localPort, remote)
    if (!this.#open.delete(key)) return
    const onPort = this.#openPerPort.get(localPort) ?? 1
    if (onPort === 1) this.#openPerPort.delete(localPort)
    else this.#openPerPort.set(localPort, onPort - 1)
    if (localPort >= EPHEMERAL_FIRST) this.#resting.set(key, true, nowMs)
  }

  /**
   * Spends a token for a SYN that would open something. A source's own bucket comes first, so that one source cannot
   * starve the others (wire §9.5 "better").
   */
  admitSyn(source: NodeId, nowMs: number): boolean {
    const bucket = this.#synsPerSource.get(source, nowMs) ?? this.#newBucket(nowMs)
    // Set again to be remembered from now: a source is forgotten when it has been quiet.
    this.#synsPerSource.set(source, bucket, nowMs)
    return bucket.take(nowMs) && this.#syns.take(nowMs)
  }

  #newBucket(nowMs: number): TokenBucket.TokenBucket {
    const rate = this.#limits.synRatePerSource
    return new TokenBucket.TokenBucket({ capacity: rate, perSecond: rate }, nowMs)
  }
}

/** wire §9.1: the local address is not part of it. */
const keyOf = (localPort: Port, { address, port }: SocketAddress): string =>
  `${localPort}/${address.network}.${address.node}:${port}`

/** wire §2. */
const EPHEMERAL_FIRST = 49152
const EPHEMERAL_LAST = 65535
const EPHEMERAL_PORTS = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1
/** wire §9.2 "better": longer than the TIME_WAIT of every version, sweep included. */
const REST_MS = 30_000
/** Somebody who dials one place hundreds of times a second must not search the whole range each time. */
const RESTING_SKIPPED_MAX = 128
/** wire §8; longer than a bucket takes to fill, so that forgetting gives nothing away. */
const SOURCE_LIFE_MS = 10_000
