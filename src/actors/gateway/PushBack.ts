/** A stream whose first bytes can be looked at before it is known who reads it. */
import { Cause, Effect } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import type { Duplex } from "../../core/net/Duplex.ts"
import type { TcpError } from "../../core/net/Tcp.ts"
import type * as Socks5 from "../../protocol/gateway/Socks5.ts"

/** Mutable, one reader: what was looked at is read first. */
export class PushBack implements Duplex<TcpError> {
  readonly #inner: Duplex<TcpError>
  #waiting: Uint8Array = Bytes.empty

  constructor(inner: Duplex<TcpError>) {
    this.#inner = inner
  }

  readonly read: Effect.Effect<Uint8Array, TcpError | Cause.Done> = Effect.suspend(() => {
    const waiting = this.#waiting
    if (waiting.length === 0) return this.#inner.read
    this.#waiting = Bytes.empty
    return Effect.succeed(waiting)
  })
  readonly write = (bytes: Uint8Array): Effect.Effect<void, TcpError> => this.#inner.write(bytes)
  get end(): Effect.Effect<void> {
    return this.#inner.end
  }

  /** The bytes that wait, at least so many unless the stream ends before. */
  atLeast(sizeBytes: number): Effect.Effect<Uint8Array, TcpError> {
    return Effect.suspend(() => {
      if (this.#waiting.length >= sizeBytes) return Effect.succeed(this.#waiting)
      return Effect.matchEffect(this.#inner.read, {
        onFailure: (error) => (Cause.isDone(error) ? Effect.succeed(this.#waiting) : Effect.fail(error)),
        onSuccess: (chunk) => {
          this.#waiting = Bytes.concat(this.#waiting, chunk)
          return this.atLeast(sizeBytes)
        }
      })
    })
  }

  /** Reads on until the step is complete, and takes the bytes that it used. The longest one has 518 bytes. */
  step(decode: (bytes: Uint8Array) => Socks5.Step): Effect.Effect<Socks5.Step, TcpError> {
    return Effect.suspend(() => {
      const step = decode(this.#waiting)
      if (step._tag === "NeedMore") {
        const before = this.#waiting.length
        return Effect.flatMap(this.atLeast(before + 1), (bytes) =>
          bytes.length === before ? Effect.succeed(step) : this.step(decode)
        )
      }
      if ("usedBytes" in step) this.#waiting = this.#waiting.subarray(step.usedBytes)
      return Effect.succeed(step)
    })
  }
}
