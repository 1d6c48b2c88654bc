/** Control pings under way to one peer (wire §12), told apart by their source port. */
import { Deferred, Effect } from "effect"
import { Port } from "../../protocol/wire/Address.ts"

/** At most 64 at a time; the oldest gives way and ends in its caller's time-out. */
export class Pings {
  readonly #waiting = new Map<Port, { readonly sentAtMs: number; readonly reply: Deferred.Deferred<number> }>()
  /** The last round trip, in milliseconds. */
  rttMs: number | undefined

  /** Books a ping and gives its source port, drawn from two random bytes. */
  start(random: Uint8Array, reply: Deferred.Deferred<number>, nowMs: number): Port {
    if (this.#waiting.size >= PINGS_MAX) this.#waiting.delete(this.#waiting.keys().next().value!)
    const port = Port(PORT_BASE + ((((random[0] ?? 0) << 8) | (random[1] ?? 0)) & PORT_MASK))
    this.#waiting.set(port, { sentAtMs: nowMs, reply })
    return port
  }

  /** A pong came for a source port; others are ignored. */
  answered(port: Port, nowMs: number): void {
    const ping = this.#waiting.get(port)
    if (ping === undefined) return
    this.#waiting.delete(port)
    this.rttMs = nowMs - ping.sentAtMs
    Deferred.doneUnsafe(ping.reply, Effect.succeed(this.rttMs))
  }
}

const PINGS_MAX = 64
/** Source ports of pings: the ephemeral range, whose size is a power of two. */
const PORT_BASE = 49_152
const PORT_MASK = 0x3fff
